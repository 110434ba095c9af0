"""Makes tests/audit/vectors: a small log with all its keys, for those who write a verifier.

The log has three segments, two signing keys, an administrator, a rotated owner key, and a proof.
Run it again only when the format changes: python tools/make_audit_vectors.py
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "service"), str(ROOT)]

from tests.audit.world import Memory  # noqa: E402

from hivekeep.audit import (  # noqa: E402
    AuditEvent,
    AuditLog,
    AuditSettings,
    DataRef,
    ModelRef,
    Recipient,
    custody,
    records,
)
from hivekeep.audit import log as log_module  # noqa: E402
from hivekeep.audit.proving import certificate_chain, prove  # noqa: E402
from hivekeep.audit.reading import owner_reader  # noqa: E402
from hivekeep.audit.record import plain  # noqa: E402
from hivekeep.audit.sealing import new_administrator, read_administrator  # noqa: E402
from hivekeep.secrets import KeyStore  # noqa: E402

TARGET = ROOT / "tests" / "audit" / "vectors"


def main() -> None:
    """Write the vectors."""
    shutil.rmtree(TARGET, ignore_errors=True)
    TARGET.mkdir(parents=True)
    private, public = new_administrator()
    pem = TARGET / "administrator.pem"
    pem.write_text(private)
    keys = KeyStore(Memory())
    log_module.SEGMENT_BYTES = 4_500
    settings = AuditSettings(recipients=(Recipient.parse(public),))
    log = AuditLog(TARGET / "log", keys, settings)
    older = ""
    for number in range(12):
        log.append(
            AuditEvent(
                f"agent-{number}", "file.read", subject=f"/in/Rechnung {number} – Müller.pdf",
                rule="files.allowed_folders[0]", outcome="allowed", user="anna", job="run-1",
                arguments={"pages": number, "ratio": number / 7}, approval="Read?\nYes",
                data=(DataRef("input", f"{number:064x}", "untrusted"),),
                model=ModelRef("qwen", "c" * 64, {"temperature": 0}), result="ok",
            )
        )  # fmt: skip
        if number == 4:
            older = log.checkpoint
            log.evolve()
        if number == 9:
            custody.rewrap(log, settings.recipients, new_owner_key=True)
    log.close()
    folder, owner = TARGET / "log", log.vault.owner or b""
    (folder / "lock").unlink()
    shutil.rmtree(folder / "derived")
    bundle = prove(folder, 3, owner_reader(keys), reveal=True, older=older)
    shutil.rmtree(folder / "derived", ignore_errors=True)
    (TARGET / "proof.json").write_text(json.dumps(bundle, indent=1) + "\n")
    said = {
        "owner_key": owner.hex(),
        "administrator_key": read_administrator(pem).private.hex(),
        "first_key": str(certificate_chain(folder)[1]),
        "records": [plain(record) for record in records(folder, keys)],
    }
    pem.unlink()
    (TARGET / "expected.json").write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
