"""Proofs convince someone who has public keys and nothing else."""

from __future__ import annotations

import ast
import copy
import json
import subprocess
import sys
from base64 import b64decode, b64encode
from pathlib import Path

import pytest
from tests.audit.world import SECRET, World

import hivekeep_verify
from hivekeep.audit import log as log_module
from hivekeep.audit.proving import certificate_chain, prove
from hivekeep.audit.reading import owner_reader
from hivekeep.domain.errors import AuditError, NotFoundError
from hivekeep_verify import ProofError, VerifierKey, check_proof
from hivekeep_verify.cli import main, split_notes
from hivekeep_verify.proof import commitment


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(log_module, "SEGMENT_BYTES", 4_000)
    monkeypatch.setattr("hivekeep.audit.proving.BLOCK", 8)
    made = World(tmp_path / "audit")
    made.write(20, epochs=1)
    made.write(15, start=20, epochs=2)
    return made


def first_key(world: World) -> VerifierKey:
    return certificate_chain(world.folder)[1]


def test_every_record_can_be_proven_revealed_or_not(world: World) -> None:
    reader, key = owner_reader(world.keys), first_key(world)
    total = world.verify().records
    for record in range(total):
        bundle = json.loads(json.dumps(prove(world.folder, record, reader)))
        proven = check_proof(bundle, [key])
        assert (proven.record, proven.checkpoint.size) == (record, total)
        shown = check_proof(prove(world.folder, record, reader, reveal=True), [key]).content
        assert shown
        if SECRET.encode() in shown:
            assert proven.content is None
            assert SECRET not in json.dumps(bundle)


def test_an_older_checkpoint_is_proven_to_be_the_beginning(world: World) -> None:
    older = (world.folder / "head").read_text()
    size = world.verify().records
    world.write(9, start=50)
    bundle = prove(world.folder, 3, owner_reader(world.keys), older=older)
    proven = check_proof(bundle, [first_key(world)])
    assert proven.older is not None
    assert proven.older.size == size
    fork = copy.deepcopy(bundle)
    fork["consistency"] = fork["consistency"][:-1]
    with pytest.raises(ProofError, match="not the beginning"):
        check_proof(fork, [first_key(world)])


def test_nothing_in_a_proof_can_be_changed(world: World) -> None:
    bundle = prove(world.folder, 5, owner_reader(world.keys), reveal=True)
    key = first_key(world)
    for name in ("leaf", "content", "opening"):
        raw = bytearray(b64decode(bundle[name]))
        for place in range(len(raw)):
            changed = bytearray(raw)
            changed[place] ^= 4
            with pytest.raises(ProofError):
                check_proof({**bundle, name: b64encode(changed).decode()}, [key])
    for changed_bundle in (
        {**bundle, "record": 6}, {**bundle, "inclusion": bundle["inclusion"][::-1]},
        {**bundle, "certificates": bundle["certificates"][1:]},
        {**bundle, "checkpoint": bundle["checkpoint"].replace("\n37\n", "\n36\n") + " "},
        {**bundle, "format": "x"}, {},
    ):  # fmt: skip
        with pytest.raises(ProofError):
            check_proof(changed_bundle, [key])
    with pytest.raises(ProofError, match="no known key"):
        check_proof(bundle, [VerifierKey(key.name, bytes(32))])


def test_a_commitment_hides_and_binds() -> None:
    assert commitment(b"a" * 32, b"yes") != commitment(b"b" * 32, b"yes")
    assert commitment(b"a" * 32, b"yes") != commitment(b"a" * 32, b"no")


def test_a_damaged_cache_is_made_anew_and_a_damaged_log_is_not_proven(world: World) -> None:
    reader = owner_reader(world.keys)
    prove(world.folder, 5, reader)
    cache = world.folder / "derived" / "blocks"
    raw = bytearray(cache.read_bytes())
    raw[0] ^= 1
    cache.write_bytes(raw)
    check_proof(prove(world.folder, 20, reader), [first_key(world)])
    assert cache.read_bytes() != raw
    path = world.segments[1]
    data = bytearray(path.read_bytes())
    data[-300] ^= 1
    path.write_bytes(data)
    cache.unlink()
    with pytest.raises(AuditError, match="cannot be proven"):
        prove(world.folder, 20, reader)
    with pytest.raises(NotFoundError):
        prove(world.folder, 10_000, reader)


def test_the_command_checks_logs_and_proofs(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, folder = str(first_key(world)), str(world.folder)
    keys = tmp_path / "keys.txt"
    keys.write_text(key + "\n")
    witness = tmp_path / "witness.txt"
    witness.write_text((world.folder / "head").read_text() * 2)
    assert len(split_notes(witness.read_text())) == 2
    bundle = tmp_path / "proof.json"
    bundle.write_text(json.dumps(prove(world.folder, 2, owner_reader(world.keys), reveal=True)))
    assert main(["log", folder, "--key", str(keys), "--witness", str(witness), "--jobs", "2"]) == 0
    assert "none changed" in capsys.readouterr().out
    assert main(["proof", str(bundle), "--key", key]) == 0
    assert SECRET in capsys.readouterr().out
    assert main(["proof", str(bundle), "--key", key, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["record"] == 2
    assert main(["proof", str(bundle)]) == 2
    assert main(["proof", str(tmp_path / "none"), "--key", key]) == 3
    other = str(VerifierKey(first_key(world).name, bytes(32)))
    assert main(["proof", str(bundle), "--key", other]) == 1
    assert main(["log", folder, "--key", other]) == 1
    assert "none of the trusted keys" in capsys.readouterr().out
    segment = world.segments[0]
    segment.write_bytes(segment.read_bytes()[:-1])
    assert main(["log", folder, "--key", key, "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["problems"][0]["place"] == "segment-00000001.log"


def test_the_verifier_imports_nothing_of_hivekeep() -> None:
    folder = Path(hivekeep_verify.__file__).parent
    allowed = {*sys.stdlib_module_names, "cryptography", "hivekeep_verify"}
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            else:
                continue
            assert {name.partition(".")[0] for name in names} <= allowed, path
    script = "import sys, hivekeep_verify.cli; print('hivekeep' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
