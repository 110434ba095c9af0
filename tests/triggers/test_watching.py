"""Real files in real folders, watched by the real service."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.triggers.world import World, hash_file, until

from hivekeep.domain.errors import DocumentError, StorageError, UsageError
from hivekeep.triggers import FileState, examine

pytestmark = pytest.mark.anyio
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")


async def test_a_closed_file_is_delivered_with_its_hash_and_size(world: World) -> None:
    async with world.watching():
        (world.inbox / "a.txt").write_bytes(b"hello")
        await world.delivery_of("a.txt")
        await until(lambda: world.states() == {"a.txt": FileState.RUNNING})
    (batch,) = world.delivered
    (file,) = batch.files
    assert file.path == world.inbox / "a.txt"
    assert file.size == 5
    assert file.sha256 == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert batch.config == world.config()


async def test_an_atomic_save_is_delivered_under_its_final_name_only(world: World) -> None:
    async with world.watching():
        temporary = world.inbox / ".a.txt.tmp"
        temporary.write_bytes(b"saved")
        temporary.rename(world.inbox / "a.txt")
        await world.delivery_of("a.txt")
        await world.sentinel()
    assert sorted(world.names) == ["a.txt", "sentinel.txt"]


async def test_a_file_moved_in_is_delivered(world: World) -> None:
    outside = world.base / "outside.txt"
    outside.write_bytes(b"moved")
    async with world.watching():
        outside.rename(world.inbox / "moved.txt")
        await world.delivery_of("moved.txt")


@linux_only
async def test_a_file_that_someone_still_writes_waits(world: World) -> None:
    async with world.watching():
        with (world.inbox / "slow.txt").open("wb", buffering=0) as writing:
            writing.write(b"first half,")
            # It is unchanged far longer than the settle time, and yet not finished.
            await world.sentinel()
            assert "slow.txt" not in world.names
            writing.write(b" second half")
        await world.delivery_of("slow.txt")
    (slow,) = [f for batch in world.delivered for f in batch.files if f.path.name == "slow.txt"]
    assert slow.size == len(b"first half, second half")


async def test_temporary_names_and_unwanted_files_are_left_alone(world: World) -> None:
    async with world.watching(world.config(include=("*.txt",), exclude=("no-*",))):
        for name in (".hidden.txt", "~$word.txt", "x.txt.part", "no-thanks.txt", "picture.png"):
            (world.inbox / name).write_text(name)
        (world.inbox / "sub").mkdir()
        (world.inbox / "sub" / "deep.txt").write_text("deep")
        await world.sentinel()
    assert world.names == ["sentinel.txt"]
    assert set(world.states()) == {"sentinel.txt"}


async def test_files_that_came_while_nothing_watched_are_caught_up(world: World) -> None:
    (world.inbox / "before.txt").write_text("before")
    async with world.watching():
        await world.delivery_of("before.txt")
    (world.inbox / "meanwhile.txt").write_text("meanwhile")
    async with world.watching():
        await world.delivery_of("meanwhile.txt")
        await world.sentinel()
    assert world.names == ["before.txt", "meanwhile.txt", "sentinel.txt"]


async def test_the_same_content_is_not_done_twice(world: World) -> None:
    async with world.watching():
        (world.inbox / "one.txt").write_text("same")
        await world.delivery_of("one.txt")
        (world.inbox / "two.txt").write_text("same")
        (world.inbox / "one.txt").touch()
        await world.sentinel()
        await until(lambda: "two.txt" in world.states())
    assert sorted(world.names) == ["one.txt", "sentinel.txt"]
    assert world.states()["two.txt"] is FileState.IGNORED
    assert "one.txt" in world.reason("two.txt")


async def test_changed_content_under_the_same_name_is_new_work(world: World) -> None:
    async with world.watching():
        (world.inbox / "a.txt").write_text("first")
        await world.delivery_of("a.txt")
        (world.inbox / "a.txt").write_text("second, longer")
        await until(lambda: len(world.delivered) == 2)
    assert world.delivered[1].files[0].size == len("second, longer")


async def test_failed_content_is_tried_again_when_it_is_saved_again(world: World) -> None:
    async with world.watching():
        path = world.inbox / "a.txt"
        path.write_text("broken")
        await world.delivery_of("a.txt")
        await until(lambda: world.states() == {"a.txt": FileState.RUNNING})
        sha = world.delivered[0].files[0].sha256
        world.inventory.mark(path, sha, FileState.FAILED, "It is broken.", watch="w1")
        assert world.reason("a.txt") == "It is broken."
        os.utime(path, (1, 1))
        path.write_text("broken")
        await until(lambda: len(world.delivered) == 2)
    assert path.read_text() == "broken"


async def test_a_changed_recipe_makes_everything_new_work(world: World) -> None:
    (world.inbox / "a.txt").write_text("a")
    async with world.watching():
        await world.delivery_of("a.txt")
    async with world.watching(world.config(recipe_hash="s" * 64)):
        await until(lambda: len(world.delivered) == 2)
    assert world.names == ["a.txt", "a.txt"]


async def test_our_own_output_makes_no_loop(world: World) -> None:
    results = world.inbox / "results"
    async with world.watching(world.config(recursive=True, output=str(results))):
        results.mkdir()
        (results / "sub").mkdir()
        (results / "sub" / "result.xlsx").write_text("in the output folder")
        mine = world.inbox / "mine.xlsx"
        world.own.add(mine)
        mine.write_text("beside the inputs")
        await world.sentinel()
        await until(lambda: "mine.xlsx" in world.states())
    async with world.watching(world.config(recursive=True, output=str(results))):
        await world.sentinel("another.txt")
    assert sorted(world.names) == ["another.txt", "sentinel.txt"]
    assert world.states()["mine.xlsx"] is FileState.IGNORED


async def test_an_output_folder_that_is_the_watched_folder_is_no_reason_to_ignore_all(
    world: World,
) -> None:
    async with world.watching(world.config(output=str(world.inbox))):
        await world.sentinel()


async def test_a_folder_that_is_deleted_and_made_again_is_watched_again(world: World) -> None:
    async with world.watching() as service:
        await world.sentinel("first.txt")
        (world.inbox / "first.txt").unlink()
        world.inbox.rmdir()
        await until(lambda: service.status()["w1"] == "folder is missing")
        world.inbox.mkdir()
        (world.inbox / "second.txt").write_text("second")
        await world.delivery_of("second.txt")
        assert service.status()["w1"] == "watching"
        await world.sentinel("third.txt")


async def test_a_folder_that_is_renamed_away_and_replaced_is_watched_again(world: World) -> None:
    async with world.watching():
        await world.sentinel("first.txt")
        replacement = world.base / "replacement"
        replacement.mkdir()
        (replacement / "second.txt").write_text("second")
        world.inbox.rename(world.base / "old")
        replacement.rename(world.inbox)
        await world.delivery_of("second.txt")
        await world.sentinel("third.txt")
        (world.base / "old" / "stray.txt").write_text("not ours any more")
        await world.sentinel("fourth.txt")
    assert "stray.txt" not in world.names


async def test_a_missing_folder_is_waited_for(world: World) -> None:
    world.inbox.rmdir()
    async with world.watching() as service:
        assert service.status() == {"w1": "folder is missing"}
        world.inbox.mkdir()
        await world.sentinel()
        assert service.status() == {"w1": "watching"}


async def test_a_folder_reached_through_a_link_is_watched(world: World) -> None:
    link = world.base / "link"
    link.symlink_to(world.inbox)
    async with world.watching(world.config(folder=str(link))):
        (world.inbox / "a.txt").write_text("a")
        await world.delivery_of("a.txt")
    assert world.delivered[0].files[0].path == link / "a.txt"


async def test_a_link_that_leads_out_of_the_folder_is_not_followed(world: World) -> None:
    secret = world.base / "secret.txt"
    secret.write_text("secret")
    async with world.watching():
        (world.inbox / "innocent.txt").symlink_to(secret)
        (world.inbox / "folder").symlink_to(world.base)
        await world.sentinel()
    assert world.names == ["sentinel.txt"]


async def test_new_sub_folders_and_what_is_in_them_are_found(world: World) -> None:
    outside = world.base / "tree"
    (outside / "deep" / "er").mkdir(parents=True)
    (outside / "deep" / "er" / "moved.txt").write_text("moved")
    async with world.watching(world.config(recursive=True)):
        outside.rename(world.inbox / "tree")
        (world.inbox / "made" / "at" / "once").mkdir(parents=True)
        (world.inbox / "made" / "at" / "once" / "made.txt").write_text("made")
        await world.delivery_of("moved.txt", "made.txt")
        (world.inbox / "tree" / "deep" / "later.txt").write_text("later")
        await world.delivery_of("later.txt")
        (world.inbox / "tree").rename(world.inbox / "renamed")
        (world.inbox / "renamed" / "deep" / "latest.txt").write_text("latest")
        await world.delivery_of("latest.txt")
    assert sorted(world.names) == ["later.txt", "latest.txt", "made.txt", "moved.txt"]


async def test_a_file_removed_before_its_batch_closes_is_not_delivered(world: World) -> None:
    async with gathering(world):
        (world.inbox / "short.txt").write_text("same content")
        await until(lambda: world.states().get("short.txt") is FileState.SEEN)
        (world.inbox / "copy.txt").write_text("same content")
        await until(lambda: "copy.txt" in world.states())
        (world.inbox / "short.txt").unlink()
        world.refuse = None
        # The copy was passed over for a file that is gone now, so its time has come.
        await world.delivery_of("copy.txt")
    assert world.names == ["first.txt", "copy.txt"]


async def test_content_that_is_replaced_before_its_batch_closes_may_come_again(
    world: World,
) -> None:
    async with gathering(world):
        path = world.inbox / "a.txt"
        path.write_text("first")
        await until(lambda: world.states().get("a.txt") is FileState.SEEN)
        path.write_text("second")
        world.refuse = None
        await world.delivery_of("a.txt")
        (world.inbox / "b.txt").write_text("first")
        await world.delivery_of("b.txt")
    assert world.names == ["first.txt", "a.txt", "b.txt"]


async def test_files_that_come_while_a_batch_is_refused_gather(world: World) -> None:
    async with gathering(world):
        for name in ("a.txt", "b.txt", "c.txt"):
            (world.inbox / name).write_text(name)
            await until(lambda name=name: name in world.states())  # type: ignore[misc]
        assert len(world.inventory.undelivered("w1")) == 1
        world.refuse = None
        await world.delivery_of("a.txt", "b.txt", "c.txt")
    assert [len(batch.files) for batch in world.delivered] == [1, 3]


@asynccontextmanager
async def gathering(world: World) -> AsyncIterator[None]:
    """A folder whose first file was refused, so that further ones wait for one another."""
    world.refuse = UsageError("Not now.")
    async with world.watching(world.config(batch_seconds=20.0)) as service:
        (world.inbox / "first.txt").write_text("the first")
        await until(lambda: service.status()["w1"] == "held back: Not now.")
        yield


@linux_only
async def test_a_file_that_was_closed_does_not_wait_for_the_quiet_time(world: World) -> None:
    outside, elsewhere = world.base / "outside.txt", world.base / "elsewhere.txt"
    outside.write_text("outside")
    elsewhere.write_text("elsewhere")
    async with world.watching(world.config(settle_seconds=3600)):
        (world.inbox / "written.txt").write_text("written")
        outside.rename(world.inbox / "moved in.txt")
        (world.inbox / "linked.txt").hardlink_to(elsewhere)
        temporary = world.inbox / "saved.tmp"
        temporary.write_text("saved")
        temporary.rename(world.inbox / "saved.txt")
        await world.delivery_of("written.txt", "moved in.txt", "linked.txt", "saved.txt")


@linux_only
async def test_what_may_not_be_whole_waits_for_the_quiet_time(world: World) -> None:
    (world.inbox / "before.txt").write_text("nobody saw it being closed")
    async with world.watching(world.config(settle_seconds=3600)):
        (world.inbox / "empty.txt").touch()
        with (
            (world.inbox / "two writers.txt").open("wb", buffering=0) as one,
            (world.inbox / "two writers.txt").open("ab") as other,
        ):
            one.write(b"half")
            other.close()
            await world.sentinel()
    assert world.names == ["sentinel.txt"]


async def test_where_nobody_tells_of_writers_the_quiet_time_counts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examine, "writer_of", lambda _path: examine.Writer.UNKNOWN)
    hashed: list[Path] = []

    def note(path: Path) -> tuple[str, int]:
        hashed.append(path)
        return hash_file(path)

    world.hash_file = note
    async with world.watching(world.config(settle_seconds=0.2)) as service:
        await service.add(world.config(id="slow", recipe_hash="s" * 64, settle_seconds=3600))
        await world.sentinel()
    assert [batch.config.id for batch in world.delivered] == ["w1"]
    assert len(hashed) == 1


async def test_a_file_that_vanishes_while_it_is_pending_is_no_trouble(world: World) -> None:
    async with world.watching(world.config(closed_seconds=0.3)):
        (world.inbox / "gone.txt").write_text("gone")
        (world.inbox / "gone.txt").unlink()
        await world.sentinel()
    assert world.names == ["sentinel.txt"]


@linux_only
async def test_names_of_every_kind(world: World) -> None:
    names = [
        "new\nline.txt",
        "🐝 honey.txt",
        "\u202etxt.exe",
        "x" * 251 + ".txt",
        os.fsdecode(b"not \xff\xfe utf-8.txt"),
        " leading and trailing ",
        "-rf",
    ]
    for name in names[::2]:
        (world.inbox / name).write_text(f"content of {name!r}")
    async with world.watching():
        for name in names[1::2]:
            (world.inbox / name).write_text(f"content of {name!r}")
        await world.delivery_of(*names)
    async with world.watching():
        await world.sentinel()
    assert sorted(world.names) == sorted([*names, "sentinel.txt"])


async def test_an_unreadable_file_is_recorded_with_a_reason_and_left(world: World) -> None:
    def refuse(path: Path) -> tuple[str, int]:
        if path.name == "locked.txt":
            raise PermissionError(13, "Permission denied", str(path))
        if path.name == "odd.txt":
            raise DocumentError("This file is odd.", reason="odd")
        if path.name == "vanishing.txt":
            path.unlink()
            raise DocumentError("It is not there any more.", reason="vanished")
        return hash_file(path)

    world.hash_file = refuse
    async with world.watching():
        (world.inbox / "locked.txt").write_text("locked")
        (world.inbox / "odd.txt").write_text("odd")
        (world.inbox / "vanishing.txt").write_text("vanishing")
        await world.sentinel()
        await until(lambda: len(world.states()) == 3)
    assert world.names == ["sentinel.txt"]
    assert world.states()["locked.txt"] is FileState.FAILED
    assert "permission denied" in world.reason("locked.txt")
    assert world.reason("odd.txt") == "This file is odd."
    assert (world.inbox / "locked.txt").read_text() == "locked"


async def test_a_file_that_changes_while_it_is_read_is_read_again(world: World) -> None:
    reads: list[Path] = []

    def meddle(path: Path) -> tuple[str, int]:
        result = hash_file(path)
        reads.append(path)
        if len(reads) == 1:
            path.write_text("changed while it was read")
        return result

    world.hash_file = meddle
    async with world.watching():
        (world.inbox / "a.txt").write_text("before")
        await world.delivery_of("a.txt")
    assert world.delivered[0].files[0].sha256 == hash_file(world.inbox / "a.txt")[0]


async def test_a_refused_batch_is_held_back_and_delivered_later(world: World) -> None:
    world.refuse = UsageError("Policy forbids it.")
    async with world.watching() as service:
        (world.inbox / "a.txt").write_text("a")
        await until(lambda: service.status()["w1"] == "held back: Policy forbids it.")
        await until(lambda: world.reason("a.txt") == "Policy forbids it.")
        await until(lambda: len(world.attempts) >= 3)
        world.refuse = None
        await world.delivery_of("a.txt")
        await until(lambda: service.status()["w1"] == "watching")
    assert len({batch.id for batch in world.attempts}) == 1


async def test_a_batch_without_confirmation_comes_again_with_the_same_id(world: World) -> None:
    world.refuse = UsageError("Not now.")
    async with world.watching():
        (world.inbox / "a.txt").write_text("a")
        (world.inbox / "b.txt").write_text("b")
        await until(lambda: len(world.attempts) == 1)
    world.refuse = None
    async with world.watching():
        await world.delivery_of("a.txt", "b.txt")
        await world.sentinel()
    assert world.delivered[0].id == world.attempts[0].id
    assert world.delivered[0].files == world.attempts[0].files
    assert sorted(world.names) == ["a.txt", "b.txt", "sentinel.txt"]


async def test_a_kill_during_delivery_brings_the_same_batch_again(world: World) -> None:
    script = """
import os, sys, time
from pathlib import Path
import anyio
from hivekeep.triggers import Inventory, WatchConfig, WatchService
from tests.triggers.world import hash_file

async def on_batch(batch):
    print(batch.id, flush=True)
    os.kill(os.getpid(), 9)

base = Path(sys.argv[1])
config = WatchConfig(id="w1", folder=str(base / "inbox"), recipe="r", recipe_hash="r" * 64,
                     output=str(base / "results"), settle_seconds=0.05, batch_seconds=0.1)

async def main():
    inventory = Inventory(base / "inventory.db", clock=time.time)
    service = WatchService(inventory, on_batch, is_own_output=lambda _: False, hash_file=hash_file)
    await service.add(config)
    await service.run()

anyio.run(main)
"""
    (world.inbox / "a.txt").write_text("a")
    world.inventory.close()
    repo = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{repo}:{repo / 'service'}"}
    killed = await anyio.run_process(
        [sys.executable, "-c", script, str(world.base)],
        check=False,
        env=environment,
        stderr=subprocess.STDOUT,
    )
    assert killed.returncode == -9, killed.stdout
    world.open_inventory()
    async with world.watching():
        await world.delivery_of("a.txt")
    assert world.delivered[0].id == killed.stdout.decode().strip()


async def test_polling_serves_where_the_system_does_not_tell(world: World) -> None:
    world.remote = True
    (world.inbox / "before.txt").write_text("before")
    async with world.watching() as service:
        assert service.status() == {"w1": "polling"}
        await world.delivery_of("before.txt")
        await world.sentinel()
        (world.inbox / "sentinel.txt").write_text("changed, and longer")
        await until(lambda: len(world.delivered) == 3)
    assert world.names == ["before.txt", "sentinel.txt", "sentinel.txt"]


@linux_only
async def test_polling_serves_where_the_system_refuses_to_watch(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from watchdog.observers.inotify_c import InotifyFD

    def refuse(*_: object) -> int:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr(InotifyFD, "add_callback", refuse)
    async with world.watching() as service:
        assert service.status() == {"w1": "polling"}
        await world.sentinel()


@linux_only
async def test_a_sub_folder_that_cannot_be_watched_makes_the_folder_polled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from watchdog.observers.inotify_c import InotifyFD

    real = InotifyFD.add_callback

    def refuse(self: InotifyFD, path: bytes, *rest: Any) -> Any:
        if path.endswith(b"/sub"):
            raise OSError(28, "inotify watch limit reached")
        return real(self, path, *rest)

    monkeypatch.setattr(InotifyFD, "add_callback", refuse)
    async with world.watching(world.config(recursive=True)) as service:
        (world.inbox / "sub").mkdir()
        await until(lambda: service.status() == {"w1": "polling"})
        (world.inbox / "sub" / "unseen.txt").write_text("unseen")
        await world.delivery_of("unseen.txt")


@linux_only
async def test_events_that_the_kernel_dropped_are_made_up_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent, InotifyFD

    real = InotifyFD.read_events
    overflow = InotifyEvent(-1, InotifyConstants.IN_Q_OVERFLOW, 0, b"")  # type: ignore[arg-type]

    def lose_all(self: InotifyFD, **options: int) -> list[InotifyEvent]:
        return [overflow] if real(self, **options) else []

    async with world.watching() as service:
        await world.sentinel()
        monkeypatch.setattr(InotifyFD, "read_events", lose_all)
        # The reader is inside the real method now; this event is the last one it tells.
        await world.sentinel("last told.txt")
        (world.inbox / "lost.txt").write_text("lost")
        await world.delivery_of("lost.txt")
        assert service.status() == {"w1": "watching"}


async def test_an_inventory_that_cannot_be_written_holds_back_and_loses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise StorageError("The disk is full.")

    async with world.watching() as service:
        with monkeypatch.context() as patch:
            patch.setattr(world.inventory, "assign", refuse)
            (world.inbox / "a.txt").write_text("a")
            await until(lambda: service.status() == {"w1": "held back: The disk is full."})
        await world.delivery_of("a.txt")
        await until(lambda: service.status() == {"w1": "watching"})
    assert world.names == ["a.txt"]


async def test_folders_can_be_added_and_removed_while_others_are_watched(world: World) -> None:
    second = world.base / "second"
    second.mkdir()
    async with world.watching() as service:
        await service.add(world.config(id="w2", folder=str(second)))
        assert service.status() == {"w1": "watching", "w2": "watching"}
        (second / "a.txt").write_text("a")
        await world.delivery_of("a.txt")
        await service.remove("w2")
        await service.remove("w2")
        (second / "b.txt").write_text("b")
        await world.sentinel()
        assert service.status() == {"w1": "watching"}
    assert world.names == ["a.txt", "sentinel.txt"]
    assert world.inventory.files("w2") == []


async def test_two_thousand_files_at_once_and_none_missed(world: World) -> None:
    names = [f"{number}.txt" for number in range(2_000)]
    async with world.watching():
        for name in names:
            (world.inbox / name).write_text(name)
        await world.delivery_of(*names)
    assert sorted(world.names) == sorted(names)
    assert max(len(batch.files) for batch in world.delivered) <= 300
    assert len({batch.id for batch in world.delivered}) == len(world.delivered)
