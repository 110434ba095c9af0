"""Who can read the log: owner, administrators, and nobody after its keys were destroyed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from tests.audit.world import World

from hivekeep.audit import AuditEvent, AuditLog, AuditSettings, Recipient, custody, records
from hivekeep.audit import log as log_module
from hivekeep.audit.proving import certificate_chain, prove
from hivekeep.audit.reading import open_segments, owner_reader
from hivekeep.audit.sealing import AdministratorKey, OwnerKey
from hivekeep_verify import check_log, check_proof


class Clock:
    def __init__(self) -> None:
        self.now = 1_764_000_000.0

    def __call__(self) -> float:
        self.now += 60
        return self.now


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(log_module, "SEGMENT_BYTES", 3_000)
    return World(tmp_path / "audit")


def administrator(_name: str) -> tuple[Recipient, AdministratorKey]:
    private = X25519PrivateKey.generate()
    recipient = Recipient(private.public_key().public_bytes_raw())
    return recipient, AdministratorKey(private.private_bytes_raw())


def readable(world: World, key: AdministratorKey | OwnerKey) -> list[int]:
    return [r.detail["n"] for s in open_segments(world.folder, key) for r in s.records()]


def write(log: AuditLog, numbers: range) -> None:
    for number in numbers:
        log.append(AuditEvent("t", "a", subject="x" * 100, detail={"n": number}))


def test_each_administrator_reads_a_lost_laptops_log_and_nobody_else(world: World) -> None:
    anna, annas = administrator("anna")
    bert, berts = administrator("bert")
    _, strangers = administrator("stranger")
    log = world.open(AuditSettings(recipients=(anna, bert)))
    write(log, range(20))
    log.close()
    assert readable(world, annas) == readable(world, berts) == list(range(20))
    assert readable(world, strangers) == []
    assert readable(world, OwnerKey(bytes(32))) == []
    assert Recipient.parse(str(anna)) == anna
    for wrong in ("anna", "", "00", str(anna)[:-2]):
        with pytest.raises(ValueError, match=r"recipient|hexadecimal"):
            Recipient.parse(wrong)


def test_keys_are_rotated_and_readers_changed_for_the_whole_log(world: World) -> None:
    anna, annas = administrator("anna")
    bert, berts = administrator("bert")
    log = world.open(AuditSettings(recipients=(anna,)))
    write(log, range(20))
    before = log.vault.owner
    assert custody.rewrap(log, (bert,), new_owner_key=True) == len(world.segments) >= 3
    write(log, range(20, 40))
    log.close()
    assert before is not None
    assert log.vault.owner != before
    assert readable(world, OwnerKey(before)) == []
    assert readable(world, annas) == []
    assert readable(world, berts) == list(range(40))
    assert [r.detail["n"] for r in records(world.folder, world.keys)] == list(range(40))
    report = world.verify()
    assert report.problems == ()
    said = next(said for _, said in report.notes if said["type"] == "keys")
    assert said["recipients"] == [str(bert)]
    world.write(1)
    assert world.verify().problems == ()


@pytest.mark.parametrize("reached", ["prepared", "said"])
def test_a_kill_during_a_rotation_is_made_up_for(
    reached: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = world.open()
    write(log, range(20))

    def killed(*_arguments: object) -> None:
        raise KeyboardInterrupt

    target = "change" if reached == "prepared" else "finish"
    if target == "change":
        monkeypatch.setattr(log, "change", killed)
    else:
        monkeypatch.setattr("hivekeep.audit.keyfiles.finish_changes", killed)
    with pytest.raises(KeyboardInterrupt):
        custody.rewrap(log, (), new_owner_key=True)
    monkeypatch.undo()
    log.close()
    assert list((world.folder / "keys").glob("*.pending"))
    world.write(1, start=20)
    assert not list((world.folder / "keys").glob("*.pending"))
    assert world.verify().problems == ()
    assert len(records(world.folder, world.keys)) == 21


def test_destroyed_content_is_gone_and_the_log_still_verifies(world: World) -> None:
    anna, annas = administrator("anna")
    log = AuditLog(world.folder, world.keys, AuditSettings(recipients=(anna,)), wall=Clock())
    write(log, range(30))
    older = world.copy(world.folder.parent / "older")
    days = 1
    log._wall.now += 3 * 86_400  # type: ignore[attr-defined]
    write(log, range(30, 32))
    numbers = custody.shred(log, older_than_days=days)
    log.close()
    assert numbers
    assert not [p for p in (world.folder / "keys").glob("*.json") if int(p.stem) in numbers]
    left = readable(world, annas)
    assert 0 not in left
    assert 31 in left
    report = world.verify()
    assert report.problems == ()
    assert check_log(world.folder).problems == ()
    reader = owner_reader(world.keys)
    bundle = prove(world.folder, 2, reader)
    assert check_proof(bundle, [certificate_chain(world.folder)[1]]).record == 2
    # A key file that comes back from a copy is noticed.
    path = older.folder / "keys" / "00000001.json"
    (world.folder / "keys" / "00000001.json").write_bytes(path.read_bytes())
    assert "were to be destroyed" in str(world.verify().problems[0])


def test_retention_is_carried_out_by_itself(world: World) -> None:
    clock = Clock()
    log = AuditLog(world.folder, world.keys, AuditSettings(), wall=clock)
    write(log, range(20))
    log.close()
    clock.now += 100 * 86_400
    log = AuditLog(world.folder, world.keys, AuditSettings(retention_days=90), wall=clock)
    write(log, range(20, 22))
    log._look_after_sealed()
    log.close()
    assert [r.detail["n"] for r in records(world.folder, world.keys)] == [20, 21]
    assert world.verify().problems == ()


def test_key_files_name_their_readers_in_the_open(world: World) -> None:
    anna, _ = administrator("anna")
    log = world.open(AuditSettings(recipients=(anna,)))
    log.close()
    said = json.loads((world.folder / "keys" / "00000001.json").read_text())
    assert [entry["to"] for entry in said["wraps"]] == ["owner", "administrator"]
