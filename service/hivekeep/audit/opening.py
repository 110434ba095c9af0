"""What happens before a log is written to: find its end, and what a crash or a stranger left.

Responsible for continuing a log exactly where it was acknowledged to be, for beginning one, and for
continuing one of the first version.  Invariant: nothing is cut off or moved unless it was never
acknowledged, and even then it is kept aside.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from hivekeep.audit import files
from hivekeep.audit.chain import Chain
from hivekeep.audit.first_verify import first_segment_paths, verify_first
from hivekeep.audit.keyfiles import finish_changes, settle_owner_key
from hivekeep.audit.record import AuditEvent, timestamp
from hivekeep.audit.sealing import OwnerKey, Recipient, SegmentKey, unwrap, wrap
from hivekeep.audit.signing import SigningKeys
from hivekeep.audit.vault import AuditVault
from hivekeep.secrets import KeyStore
from hivekeep_verify.check import Claim, key_file_path, read_head, segment_paths
from hivekeep_verify.frames import Commit, FormatError
from hivekeep_verify.notes import Checkpoint, VerifierKey, sign_line, signed_note
from hivekeep_verify.segment import FORMAT, Header, SegmentReport, check_segment

FIRST_FOLDER = "first"


@dataclass(slots=True)
class Opened:
    """A log ready to be written to.

    ``note`` is its newest checkpoint, ``remarks`` what has to be recorded about how it was found,
    ``began`` the moment its newest segment began.
    """

    chain: Chain
    signer: SigningKeys
    segment: files.OpenSegment
    note: str
    remarks: list[AuditEvent]
    began: str


def open_log(
    folder: Path, keys: KeyStore, vault: AuditVault, recipients: Sequence[Recipient], now: str
) -> Opened:
    """Continue or begin the log in ``folder``, whose lock is held.

    :raises AuditError: if its end is not as it was acknowledged.
    :raises OSError: if it cannot be read or written.
    """
    paths = segment_paths(folder)
    if paths:
        opened = _continue(folder, vault, paths[-1])
    else:
        continues = _first_version(folder, keys)
        opened = _begin(folder, vault, recipients, now, continues)
    _move_first(folder)
    return opened


def begin_segment(
    chain: Chain, signer: SigningKeys, folder: Path, owner: bytes,
    recipients: Sequence[Recipient], *, time: str, continues: dict[str, Any] | None = None,
) -> tuple[files.OpenSegment, str]:  # fmt: skip
    """Write the next segment with its key file; also returns the head's new note.

    The key file is durable first: a kill in between leaves one that the next try replaces.

    :raises OSError: if it cannot be written; the chain must then be thrown away.
    """
    key = SegmentKey.create(chain.log, chain.number + 1)
    wrapped = wrap(key, chain.log, owner, recipients)
    path = key_file_path(folder, key.number)
    files.write_durably(path, wrapped)
    data = chain.segment(
        key, signer.current, sha256(wrapped).hexdigest(), time=time, continues=continues
    )
    frame, note = chain.commit(signer.current)
    segment = files.OpenSegment.create(files.segment_path(folder, key.number), data + frame)
    return segment, note


def _begin(
    folder: Path, vault: AuditVault, recipients: Sequence[Recipient], now: str,
    continues: dict[str, Any] | None,
) -> Opened:  # fmt: skip
    anchor = vault.anchor
    if anchor is not None:
        raise files.tampered(folder, f"a log of {anchor.size} records was here, and is gone")
    chain = Chain.begin(os.urandom(16))
    signer = SigningKeys.begin(vault, chain.origin)
    segment, note = begin_segment(
        chain, signer, folder, vault.owner_or_new(), recipients, time=now, continues=continues
    )
    return Opened(chain, signer, segment, note, [], now)


def begin_anew(folder: Path, keys: KeyStore) -> Path:
    """Set a log aside that cannot be continued, and begin one that says so; returns its place.

    The owner's key stays, so what can be read of the old log can still be read.

    :raises AuditError: if the log is in use or the folder cannot be written.
    """
    held = files.lock(folder)
    try:
        vault = AuditVault(keys)
        now = timestamp(time.time())
        aside = folder.with_name(f"{folder.name}-set-aside-{now[:19].replace(':', '')}")
        folder.replace(aside)
        held.close()
        held = files.lock(folder)
        continues = {"format": FORMAT, "anchor": vault.anchor_note, "set_aside": aside.name}
        vault.save(anchor="")
        opened = _begin(folder, vault, (), now, continues)
        opened.segment.close()
        head = files.HeadFile(folder)
        head.write(opened.note)
        head.close()
        vault.save(anchor=opened.note)
    except OSError as error:
        raise files.unwritable(folder, error) from error
    finally:
        held.close()
    return aside


def _first_version(folder: Path, keys: KeyStore) -> dict[str, Any] | None:
    """What the new log says of one of the first version that it continues."""
    if not first_segment_paths(folder):
        return None
    report = verify_first(folder, keys)
    return {
        "format": "HKAUD1", "records": report.records, "head": report.head.hex(),
        "problems": [str(problem) for problem in report.problems[:20]],
    }  # fmt: skip


def _move_first(folder: Path) -> None:
    """Set the first version's files aside; the head's name is needed for the new one."""
    old = first_segment_paths(folder)
    if not old:
        return
    target = folder / FIRST_FOLDER
    target.mkdir(mode=0o700, exist_ok=True)
    # The head before the segments: while one of these is left, this is done again; then a head
    # that is already there is the old one, and what is here is the new log's.
    for path in [folder / "head", *sorted(folder.glob("torn-*.bin")), *old]:
        if path.exists() and not (target / path.name).exists():
            path.replace(target / path.name)
    files.sync_folder(target)
    files.sync_folder(folder)


def _continue(folder: Path, vault: AuditVault, path: Path) -> Opened:
    report = check_segment(path)
    remarks = _compare(folder, vault, report)
    if report.tail:
        remarks.append(_set_aside(folder, report))
        report = check_segment(path)
    header, end, last = report.header, report.end, report.last
    if report.problems or header is None or end is None or last is None:
        what = str(report.problems[0]) if report.problems else f"{path.name} has no checkpoint"
        raise files.tampered(folder, what)
    key_file = key_file_path(folder, header.number)
    try:
        signer = SigningKeys.load(vault, header.origin, end.epoch, end.public)
        finish_changes(folder, [said for _, said in report.notes])
        settle_owner_key(vault, key_file.read_bytes())
        commitment = bytes.fromhex(header.raw["key_commitment"])
        key = unwrap(key_file.read_bytes(), OwnerKey(vault.owner_or_new()), commitment)
    except (FormatError, FileNotFoundError, ValueError) as error:
        raise files.tampered(folder, str(error)) from error
    chain = Chain.at(bytes.fromhex(header.log), header.number, end, key)
    note = _note(header, last, end.public if last.epoch == end.epoch else b"")
    return Opened(
        chain, signer, files.OpenSegment(path, report.tail_at), note, remarks, header.raw["time"]
    )


def _compare(folder: Path, vault: AuditVault, report: SegmentReport) -> list[AuditEvent]:
    """Compare the end of the log with what head and anchor say; a lost head is a remark.

    :raises AuditError: if the log was longer once, or different.
    """
    if report.problems:
        raise files.tampered(folder, str(report.problems[0]))
    size = report.last.size if report.last else 0
    head = Claim("head", read_head(folder))
    if not head.wrong:
        _require(folder, report, head.checkpoint, "the head", size)
    anchor = vault.anchor
    if anchor is not None:
        _require(folder, report, anchor, "the anchor in the key store", size)
    if head.wrong:
        return [AuditEvent("daemon", "audit.head_lost", outcome="restored", result=head.wrong)]
    return []


def _require(folder: Path, report: SegmentReport, known: Checkpoint, place: str, size: int) -> None:
    if report.header is not None and known.origin != report.header.origin:
        raise files.tampered(folder, f"{place} is of another log")
    if known.size > size:
        raise files.tampered(
            folder,
            f"{place} says that there were {known.size} records, and the log ends with {size}",
        )
    if report.last is not None and known.size == size and known.root != report.last.root:
        raise files.tampered(folder, f"{place} was made over other records")


def _set_aside(folder: Path, report: SegmentReport) -> AuditEvent:
    """Keep what a crash left behind the last checkpoint, and cut it off."""
    path = folder / report.name
    name = f"torn-{report.name[8:16]}-{report.tail_at}.bin"
    with path.open("r+b") as file:
        file.seek(report.tail_at)
        files.write_durably(folder / name, file.read())
        file.truncate(report.tail_at)
        file.flush()
        os.fsync(file.fileno())
    return AuditEvent(
        "daemon", "audit.torn_record", subject=name, outcome="kept",
        detail={"bytes": report.tail, "segment": report.name, "offset": report.tail_at},
    )  # fmt: skip


def _note(header: Header, last: Commit, public: bytes) -> str:
    """The newest checkpoint as a signed note; empty if its key is not at hand."""
    if not public:
        return ""
    text = Checkpoint(header.origin, last.size, last.root).text()
    return signed_note(text, sign_line(VerifierKey(header.origin, public), last.signature))
