"""A paused folder rests, loses nothing, and tells beforehand what it would pick up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from tests.triggers.world import World, hash_file, until

from hivekeep.domain.errors import NotFoundError
from hivekeep.triggers import FileState
from hivekeep.triggers.outlook import Fate, FolderOutlook, look_ahead

pytestmark = pytest.mark.anyio


async def test_what_arrives_during_a_pause_is_found_when_it_ends(world: World) -> None:
    other = world.base / "other"
    other.mkdir()
    running = world.config(id="w2", folder=str(other), recipe_hash="s" * 64)
    async with world.watching(world.config(), running) as service:
        (world.inbox / "before.txt").write_text("before")
        await world.delivery_of("before.txt")
        await service.add(replace(world.config(), paused=True))
        assert service.status()["w1"] == "paused"
        (world.inbox / "during.txt").write_text("during")
        # A file in a folder that is not paused has gone all the way since then.
        (other / "sign.txt").write_text("sign")
        await world.delivery_of("sign.txt")
        assert "during.txt" not in world.names
        await service.add(world.config())
        await world.delivery_of("during.txt")
    assert sorted(world.names) == ["before.txt", "during.txt", "sign.txt"]


async def test_a_pause_outlives_the_process(world: World) -> None:
    paused = replace(world.config(), paused=True)
    (world.inbox / "a.txt").write_text("a")
    other = world.base / "other"
    other.mkdir()
    async with world.watching(paused, world.config(id="w2", folder=str(other))) as service:
        (other / "sign.txt").write_text("sign")
        await world.delivery_of("sign.txt")
        assert service.status()["w1"] == "paused"
    assert world.names == ["sign.txt"]
    async with world.watching():
        await world.delivery_of("a.txt")


async def test_a_delivery_that_a_pause_interrupts_is_made_again_under_its_id(world: World) -> None:
    begun, attempts = anyio.Event(), []

    async def on_batch(batch: object) -> None:
        attempts.append(batch)
        if len(attempts) == 1:
            begun.set()
            await anyio.sleep_forever()

    async with world.watching() as service:
        service._ports = replace(service._ports, on_batch=on_batch)
        await service.add(world.config())
        (world.inbox / "a.txt").write_text("a")
        with anyio.fail_after(30):
            await begun.wait()
            await service.add(replace(world.config(), paused=True))
        await service.add(world.config())
        await until(lambda: world.states() == {"a.txt": FileState.RUNNING})
    assert len(attempts) == 2
    assert attempts[0].id == attempts[1].id  # type: ignore[attr-defined]


def ahead(world: World, **more: object) -> FolderOutlook:
    ports: dict[str, object] = {
        "hash_file": hash_file, "is_own_output": lambda _path: False,
        "denied": lambda _path, _size: "", **more,
    }  # fmt: skip
    return look_ahead(world.config(include=("*.txt",)), world.inventory, **ports)  # type: ignore[arg-type]


async def test_looking_ahead_says_what_each_file_would_come_to(world: World) -> None:
    config = world.config(include=("*.txt",))
    async with world.watching(config):
        (world.inbox / "done.txt").write_text("done")
        await world.delivery_of("done.txt")
        await until(lambda: world.states() == {"done.txt": FileState.RUNNING})
    (found,) = world.inventory.files("w1")
    world.inventory.mark(found.path, found.sha256, FileState.DONE)
    for name, text in {
        "new.txt": "new", "copy.txt": "done", "own.txt": "own", "secret.txt": "s", "a.pdf": "pdf",
        ".hidden.txt": "h",
    }.items():  # fmt: skip
        (world.inbox / name).write_text(text)
    before = world.states()
    for _ in range(2):  # asking changes nothing
        seen = ahead(
            world,
            is_own_output=lambda path: path.name == "own.txt",
            denied=lambda path, _size: "Not this." if path.endswith("secret.txt") else "",
        )
        assert {Path(file.path).name: file.fate for file in seen.files} == {
            "new.txt": Fate.NEW, "done.txt": Fate.DONE, "copy.txt": Fate.IGNORED,
            "own.txt": Fate.IGNORED, "secret.txt": Fate.DENIED, "a.pdf": Fate.UNWANTED,
        }  # fmt: skip
        assert Path(seen.files[0].path).name == "new.txt"
        reasons = {Path(file.path).name: file.reason for file in seen.files}
        assert "done.txt" in reasons["copy.txt"]
        assert reasons["secret.txt"] == "Not this."
    assert world.states() == before
    async with world.watching(config):
        await world.delivery_of("new.txt")


async def test_looking_ahead_of_a_folder_that_is_gone_says_so(world: World) -> None:
    world.inbox.rmdir()
    with pytest.raises(NotFoundError):
        ahead(world)
