"""The inventory: never the same content in hand twice, never content lost, across any restart."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hivekeep.domain.errors import JournalError, StorageError
from hivekeep.triggers import FileState, Fingerprint, FoundFile, Inventory, WatchConfig
from hivekeep.triggers.examine import Readable, Unreadable
from hivekeep.triggers.inventory import is_unchanged

MEMORY = Path("/dev/shm")  # where a durable write costs nothing
CONFIG = WatchConfig(id="w1", folder="/in", recipe="r", recipe_hash="h", output="/out")
PATHS = st.sampled_from(["/in/a", "/in/b", "/in/c", "/in/\udcff"])
CONTENTS = st.sampled_from(["1" * 64, "2" * 64, "3" * 64])


class InventoryMachine(RuleBasedStateMachine):
    """Plays the folder: files come, change and vanish; batches go out; the process dies."""

    @initialize()
    def begin(self) -> None:
        self.place = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self.disk: dict[str, tuple[Fingerprint, str]] = {}
        self.waiting: dict[str, FoundFile] = {}
        self.outgoing: dict[str, tuple[FoundFile, ...]] = {}
        self.taken: list[str] = []
        self.failed: set[str] = set()
        self.time = 0
        self.open()

    def open(self) -> None:
        self.inventory = Inventory(Path(self.place.name, "db"), clock=lambda: float(self.time))

    def teardown(self) -> None:
        self.inventory.close()
        self.place.cleanup()

    def admit(self, *paths: str) -> None:
        found = [Readable(path, *self.disk[path]) for path in paths]
        new, given_up = self.inventory.admit(CONFIG, found)
        for path in given_up:
            self.waiting.pop(path, None)
        for file in new:
            self.waiting[str(file.path)] = file
        if given_up:
            self.scan()

    def scan(self) -> None:
        known = self.inventory.known(CONFIG.id)
        self.admit(
            *(
                path
                for path, (seen, _) in self.disk.items()
                if not is_unchanged(known.get(path), CONFIG, seen)
            )
        )

    @rule(path=PATHS, content=CONTENTS)
    def save(self, path: str, content: str) -> None:
        self.time += 1
        self.disk[path] = (Fingerprint(1, self.time, self.time), content)
        self.admit(path)

    @rule(path=PATHS)
    def vanish(self, path: str) -> None:
        self.disk.pop(path, None)

    @precondition(lambda self: self.waiting)
    @rule()
    def close_batch(self) -> None:
        self.time += 1
        files = tuple(self.waiting.values())
        self.waiting = {}
        gone = [file for file in files if str(file.path) not in self.disk]
        kept = tuple(file for file in files if file not in gone)
        if kept:
            self.inventory.assign(f"b{self.time}", CONFIG.id, kept)
            self.outgoing[f"b{self.time}"] = kept
        if gone:
            self.inventory.drop(CONFIG, gone)
            self.scan()

    @precondition(lambda self: self.outgoing)
    @rule()
    def deliver(self) -> None:
        batch, files = self.outgoing.popitem()
        self.taken.extend(file.sha256 for file in files)
        self.inventory.delivered(batch, CONFIG.id, files)

    @precondition(lambda self: self.taken)
    @rule(done=st.booleans(), data=st.data())
    def finish(self, done: bool, data: st.DataObject) -> None:
        records = self.inventory.files(CONFIG.id, FileState.RUNNING)
        if records:
            record = data.draw(st.sampled_from(records))
            state = FileState.DONE if done else FileState.FAILED
            self.inventory.mark(record.path, record.sha256, state, "why", watch=CONFIG.id)
            if not done:
                self.failed.add(record.sha256)

    @rule()
    def die(self) -> None:
        self.inventory.close()
        self.open()
        self.waiting = {}
        self.inventory.forget_unbatched(CONFIG.id)
        self.outgoing = self.inventory.undelivered(CONFIG.id)
        self.scan()

    @invariant()
    def nothing_is_in_hand_twice(self) -> None:
        in_hand = [file.sha256 for file in self.waiting.values()]
        in_hand += [file.sha256 for files in self.outgoing.values() for file in files]
        in_hand += [sha for sha in self.taken if sha not in self.failed]
        again = {sha for sha in in_hand if in_hand.count(sha) > 1} - self.failed
        assert not again

    @invariant()
    def nothing_on_disk_is_forgotten(self) -> None:
        promised = {file.sha256 for file in self.waiting.values()}
        promised |= {file.sha256 for files in self.outgoing.values() for file in files}
        assert {sha for _, sha in self.disk.values()} <= promised | set(self.taken)


InventoryMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None
)
TestInventory = InventoryMachine.TestCase


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    return Inventory(tmp_path / "db", clock=lambda: 1.0)


def test_another_recipe_is_other_work(inventory: Inventory) -> None:
    other = WatchConfig(id="w2", folder="/in", recipe="o", recipe_hash="o", output="/out")
    file = Readable("/in/a", Fingerprint(1, 1, 1), "1" * 64)
    assert inventory.admit(CONFIG, [file])[0]
    assert inventory.admit(other, [file])[0]
    assert not inventory.admit(CONFIG, [Readable("/in/b", Fingerprint(1, 1, 1), "1" * 64)])[0]


def test_a_removed_watch_forgets_what_waited_and_remembers_what_was_done(
    inventory: Inventory,
) -> None:
    done = Readable("/in/done", Fingerprint(1, 1, 1), "1" * 64)
    waiting = Readable("/in/waiting", Fingerprint(1, 1, 1), "2" * 64)
    inventory.admit(CONFIG, [done, waiting])
    inventory.mark(Path("/in/done"), "1" * 64, FileState.DONE, watch="w1")
    inventory.forget("w1")
    assert inventory.files("w1") == []
    (new,), _ = inventory.admit(CONFIG, [done, waiting])
    assert new.path == Path("/in/waiting")


def test_an_unreadable_file_is_looked_at_again_only_when_it_changes(inventory: Inventory) -> None:
    inventory.unreadable(CONFIG, [Unreadable("/in/a", Fingerprint(1, 1, 1), "No.")])
    record = inventory.known("w1")["/in/a"]
    assert (record.state, record.reason) == (FileState.FAILED, "No.")
    assert is_unchanged(record, CONFIG, Fingerprint(1, 1, 1))
    assert not is_unchanged(record, CONFIG, Fingerprint(1, 1, 2))
    assert inventory.admit(CONFIG, [Readable("/in/a", Fingerprint(1, 1, 2), "1" * 64)])[0]


def test_a_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "db").write_bytes(b"this is no database, and long enough to be one" * 100)
    with pytest.raises(JournalError) as caught:
        Inventory(tmp_path / "db", clock=lambda: 1.0)
    assert "Move the file away" in caught.value.next_step


def test_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "db") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(JournalError, match="newer version"):
        Inventory(tmp_path / "db", clock=lambda: 1.0)


def test_a_place_that_does_not_exist_is_said(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no such folder"):
        Inventory(tmp_path / "no such folder" / "db", clock=lambda: 1.0)
