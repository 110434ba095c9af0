"""Whatever is done to a log is found, and the place is named."""

from __future__ import annotations

import os
import shutil
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.audit.world import SECRET, World, rechain

from hivekeep.audit import AuditEvent, AuditLog
from hivekeep.audit import log as log_module
from hivekeep.audit.chain import Chain
from hivekeep.audit.sealing import OwnerKey, unwrap
from hivekeep.audit.signing import EpochKey
from hivekeep.audit.vault import AuditVault
from hivekeep.domain.errors import AuditError
from hivekeep_verify import check_log
from hivekeep_verify import frames as layout
from hivekeep_verify.segment import State, parse_header


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path / "audit")
    made.write(3, epochs=1)
    made.write(2, start=3)
    return made


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "SEGMENT_BYTES", 2_500)


def log_files(folder: Path) -> Iterator[Path]:
    return (p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "lock")


def test_every_flipped_byte_is_found_and_its_file_named(world: World) -> None:
    assert world.verify().problems == ()
    tried = 0
    for path in log_files(world.folder):
        whole = path.read_bytes()
        for place in range(len(whole)):
            changed = bytearray(whole)
            changed[place] ^= 1 << place % 8
            path.write_bytes(changed)
            report = world.verify()
            assert not report.ok, f"{path.name} byte {place}"
            named = {problem.place.rpartition("/")[2] for problem in report.problems}
            assert path.name in named, f"{path.name} byte {place}: {report.problems}"
            tried += 1
        path.write_bytes(whole)
    assert tried > 3_000
    assert world.verify().problems == ()


def test_every_flipped_byte_of_a_segment_is_found_with_public_keys_only(world: World) -> None:
    (path,) = world.segments
    whole = path.read_bytes()
    frames = list(layout.parse_frames(whole))
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 0x80
        path.write_bytes(changed)
        report = check_log(world.folder)
        assert not report.ok, place
        hit = next((f for f in frames if f.offset <= place < f.end), frames[0])
        # A damaged length hides all behind it; whatever else is changed is named exactly.
        offsets = [p.offset for p in report.problems if p.place == path.name]
        assert hit.offset in offsets, f"byte {place}: {report.problems}"


def test_a_log_cut_at_any_byte_is_found(world: World) -> None:
    (path,) = world.segments
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place])
        report = world.verify()
        assert not report.ok, place
        if place % 97 == 0:
            with pytest.raises(AuditError):
                world.open()


@pytest.mark.parametrize(
    ("order", "named"),
    [
        ([0, 1, 3, 4, 5, 6], "record"), ([0, 2, 1, 3, 4, 5], "record"),
        ([0, 1, 2, 2, 3], "repeated"), ([1, 2, 3], "begin"), ([0, 1, 2, 3], "once held"),
    ],
    ids=["removed", "swapped", "repeated", "first removed", "last removed"],
)  # fmt: skip
def test_removed_moved_and_repeated_frames_are_named(
    order: list[int], named: str, world: World
) -> None:
    frames = world.frames()
    if named != "once held":
        order = order + list(range(max(order) + 1, len(frames)))
    world.put_frames([frames[index] for index in order])
    report = world.verify()
    assert named in " ".join(map(str, report.problems))


def entries(frames: list[bytes]) -> list[int]:
    return [n for n, stored in enumerate(frames) if stored[4] == layout.EVENT]


@pytest.mark.parametrize("how", ["delete", "duplicate", "swap", "insert", "change"])
def test_rechained_records_do_not_match_the_signed_tree(how: str, world: World) -> None:
    frames = world.frames()
    first, second = entries(frames)[:2]
    if how == "delete":
        del frames[first]
    elif how == "duplicate":
        frames.insert(first, frames[first])
    elif how == "swap":
        frames[first], frames[second] = frames[second], frames[first]
    elif how == "insert":
        frames.insert(second, frames[entries(frames)[-1]])
    else:
        stored = frames[first]
        frames[first] = stored[:-40] + bytes([stored[-40] ^ 1]) + stored[-39:]
    world.put_frames(rechain(frames))
    report = check_log(world.folder)
    assert not report.ok
    where = report.problems[0]
    assert where.place == "segment-00000001.log"
    assert where.record <= 4


@pytest.mark.usefixtures("small_segments")
def test_missing_foreign_exchanged_and_older_segments_are_found(tmp_path: Path) -> None:
    world = World(tmp_path / "log")
    world.write(12)
    middle = world.copy(tmp_path / "middle")
    world.write(28, start=12, epochs=2)
    assert len(world.segments) >= 4
    assert world.verify().ok
    for number in range(len(world.segments)):
        copy = world.copy(tmp_path / f"copy{number}")
        copy.segments[number].unlink()
        report = copy.verify()
        assert not report.ok, number
        last = number == len(world.segments) - 1
        named = "once held" if last else f"segment {number + 1} is missing"
        assert named in " ".join(map(str, report.problems))
    other = World(tmp_path / "other")
    other.write(40)
    foreign = world.copy(tmp_path / "foreign")
    shutil.copyfile(other.segments[1], foreign.segments[1])
    assert "another log" in " ".join(map(str, foreign.verify().problems))
    exchanged = world.copy(tmp_path / "exchanged")
    one, two = exchanged.segments[:2]
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    assert not exchanged.verify().ok
    older = world.copy(tmp_path / "older")
    number = len(middle.segments) - 1
    shutil.copyfile(middle.segments[number], older.segments[number])
    report = older.verify()
    assert older.segments[number + 1].name in {problem.place for problem in report.problems}


def test_a_folder_rolled_back_is_found_by_the_anchor(tmp_path: Path) -> None:
    world = World(tmp_path / "log")
    world.write(5)
    old = world.copy(tmp_path / "old")
    world.write(5, start=5)
    shutil.rmtree(world.folder)
    shutil.copytree(old.folder, world.folder)
    assert "once held" in " ".join(map(str, world.verify().problems))
    with pytest.raises(AuditError, match="there were 11 records"):
        world.open()


def test_a_folder_that_is_gone_is_not_begun_anew_silently(world: World) -> None:
    shutil.rmtree(world.folder)
    with pytest.raises(AuditError, match="is gone"):
        world.open()


def test_folder_and_key_store_rolled_back_together_are_found_by_a_witness(tmp_path: Path) -> None:
    world = World(tmp_path / "log")
    world.write(5)
    old = world.copy(tmp_path / "old")
    world.write(5, start=5)
    kept = (world.folder / "head").read_text()
    assert old.verify().ok
    report = check_log(old.folder, witnessed=[("file share", kept)])
    assert "file share" in {problem.place for problem in report.problems}


def test_a_fork_is_found_by_a_witness(tmp_path: Path) -> None:
    world = World(tmp_path / "log")
    world.write(5)
    fork = world.copy(tmp_path / "fork")
    world.write(3, start=5)
    fork.write(4, start=50)
    assert world.verify().ok
    assert fork.verify().ok
    kept = (world.folder / "head").read_text()
    report = check_log(fork.folder, witnessed=[("file share", kept)])
    assert "not those" in " ".join(map(str, report.problems))


class Thief:
    """Has all that is on the machine now: the vault with its keys, and the folder."""

    def __init__(self, world: World) -> None:
        self.world = world
        vault = AuditVault(world.keys)
        (key,) = vault.signing
        data = world.segments[0].read_bytes()
        self.frames = list(layout.parse_frames(data))
        self.header = parse_header(self.frames[0])
        self.signer = EpochKey.from_seed(self.header.origin, key.epoch, key.seed)
        self.owner = vault.owner or b""

    def rewrite(self, *, from_record: int, resign_all: bool) -> None:
        """Write the log anew from a record on, with another content for it."""
        raw = (self.world.folder / "keys" / "00000001.json").read_bytes()
        key = unwrap(raw, OwnerKey(self.owner), bytes.fromhex(self.header.raw["key_commitment"]))
        start = State(0, layout.GENESIS, (), 0, self.header.start.public)
        chain = Chain.at(bytes.fromhex(self.header.log), 1, start, key)
        made, previous = [], layout.GENESIS
        for frame in self.frames:
            if frame.kind == layout.COMMIT:
                before = chain.previous
                forged, note = chain.commit(self.signer)
                if layout.parse_commit(frame).epoch != self.signer.epoch and not resign_all:
                    chain.previous = layout.commit_chain(before, frame.body)
                    forged = layout.pack(frame.body, chain.previous)
                made.append(forged)
            elif frame.kind == layout.NOTE or frame.index < from_record:
                made.append(chain._entry(frame.body))
            else:
                content = key.open(frame.index, previous, frame.content)
                if frame.index == from_record:
                    content = content.replace(SECRET.encode(), b"nothing of the kind")
                made.append(chain.event(content))
            previous = frame.chain
        self.world.put_frames(made)
        (self.world.folder / "head").write_text(note)
        AuditVault(self.world.keys).save(anchor=note)


@pytest.mark.parametrize("resign_all", [False, True])
def test_who_steals_the_current_keys_cannot_rewrite_the_past(
    resign_all: bool, world: World
) -> None:
    """Records 1 to 3 are of epoch 0, whose key is gone; the thief has that of epoch 1."""
    Thief(world).rewrite(from_record=2, resign_all=resign_all)
    report = world.verify()
    assert not report.ok
    first = report.problems[0]
    assert first.place == "segment-00000001.log"
    assert first.record <= 2
    assert "signed" in first.what


def test_who_steals_the_current_keys_can_rewrite_only_what_its_epoch_signed(world: World) -> None:
    """The documented limit: what the current key has signed is only as safe as that key."""
    evidence = (world.folder / "head").read_text()
    Thief(world).rewrite(from_record=5, resign_all=False)
    assert world.verify().ok
    assert not check_log(world.folder, witnessed=[("witness", evidence)]).ok


def test_a_thief_cannot_certify_another_successor(world: World) -> None:
    """A fork at an epoch that is over needs that epoch's key."""
    frames = world.frames()
    note = next(n for n, f in enumerate(frames) if b'"type":"epoch"' in f)
    thief = EpochKey.create("hivekeep/x", 1)
    body = frames[note][4:-32]
    real = body.split(b'"public_key":"')[1][:44]
    forged = body.replace(real, b64encode(thief.public.public))
    frames[note] = layout.pack(forged, bytes(32))
    world.put_frames(rechain(frames))
    report = check_log(world.folder)
    assert "not certified" in " ".join(map(str, report.problems))


def test_content_keys_exchanged_for_others_are_found(world: World, tmp_path: Path) -> None:
    other = World(tmp_path / "other")
    other.write(1)
    shutil.copyfile(other.folder / "keys/00000001.json", world.folder / "keys/00000001.json")
    assert "keys/00000001.json" in {problem.place for problem in world.verify().problems}


def test_a_read_only_folder_is_refused_at_the_start(world: World) -> None:
    if os.getuid() == 0:
        pytest.skip("root may write anywhere")
    world.folder.chmod(0o500)
    with pytest.raises(AuditError):
        AuditLog.open(world.folder, world.keys)
    world.folder.chmod(0o700)


def test_the_event_class_is_what_the_daemon_uses() -> None:
    assert AuditEvent("a", "b").model is None
