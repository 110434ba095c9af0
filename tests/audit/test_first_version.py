"""A log of the first version is continued without loss and stays readable and verifiable."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.audit.world import Memory, World

from hivekeep.audit import records

# Written by the first version: four records in segments of 700 bytes.
STORED = Path(__file__).parent / "first_version"


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path / "audit", Memory())
    shutil.copytree(STORED, made.folder)
    table = json.loads((made.folder / "keys.json").read_text())
    (made.folder / "keys.json").unlink()
    made.memory.table = {name: bytes.fromhex(value) for name, value in table.items()}
    return made


def test_it_is_continued_and_both_are_read_and_verified(world: World) -> None:
    world.write(2)
    report = world.verify()
    assert report.problems == ()
    said = report.notes[0][1]["continues"]
    assert (said["format"], said["records"], said["problems"]) == ("HKAUD1", 4, [])
    found = records(world.folder, world.keys)
    assert [r.action for r in found] == ["act.0", "act.1", "act.2", "act.3", "act.0", "act.1"]
    assert not list(world.folder.glob("*.audit"))


def test_damage_before_the_change_is_recorded_in_the_new_log(world: World) -> None:
    path = sorted(world.folder.glob("*.audit"))[0]
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    world.write(1)
    report = world.verify()
    assert report.notes[0][1]["continues"]["problems"]
    assert report.problems == ()


@pytest.mark.parametrize("name", ["head", "segment-00000001.audit", "segment-00000002.audit"])
def test_damage_after_the_change_is_found(name: str, world: World) -> None:
    world.write(1)
    path = world.folder / "first" / name
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    assert f"first/{name}" in {problem.place for problem in world.verify().problems}


def test_a_kill_in_the_middle_of_the_change_is_made_up_for(world: World, tmp_path: Path) -> None:
    done = world.copy(tmp_path / "done")
    done.write(1)
    first = done.folder / "first"
    for path in sorted(first.glob("*.audit"))[-1:]:
        shutil.move(path, done.folder / path.name)
    done.write(1)
    assert done.verify().problems == ()
