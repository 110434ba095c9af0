"""Records are found by their values, through indexes that show nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.audit.world import World

from hivekeep.audit import AuditEvent, DataRef, ModelRef
from hivekeep.audit import log as log_module
from hivekeep.audit.index import SEARCHABLE
from hivekeep.audit.reading import owner_reader
from hivekeep.audit.searching import Query, index_sealed, search
from hivekeep.domain.errors import UsageError

HASH = "ab" * 32


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(log_module, "SEGMENT_BYTES", 6_000)
    made = World(tmp_path / "audit")
    log = made.open()
    for number in range(60):
        log.append(
            AuditEvent(
                f"agent-{number % 7}", "model.call" if number % 2 else "policy.read_file",
                subject=f"/in/{number}.pdf", job=f"run-{number // 20}", detail={"n": number},
                data=(DataRef(f"/in/{number}.pdf", HASH if number == 11 else "", "untrusted"),),
                model=ModelRef("qwen", "cd" * 32) if number % 2 else None,
                result="Überweisung" if number == 33 else "",
            )
        )  # fmt: skip
    log.close()
    return made


def found(world: World, *, text: str = "", limit: int | None = None, **values: str) -> list[int]:
    query = Query(values, text=text)
    return [
        r.detail["n"] for r in search(world.folder, owner_reader(world.keys), query, limit=limit)
    ]


def test_values_are_found_alone_and_together(world: World) -> None:
    assert len(world.segments) > 3
    assert found(world, subject="/in/5.pdf") == [5]
    assert found(world, data=HASH) == [11]
    assert found(world, label="untrusted") == list(range(60))
    assert found(world, actor="agent-3", action="model.call") == [3, 17, 31, 45, 59]
    assert found(world, actor="agent-3", action="model.call", limit=2) == [45, 59]
    assert found(world, job="run-1", model="qwen") == list(range(21, 40, 2))
    assert found(world, subject="/in/5") == []
    assert found(world, text="überweisung") == [33]
    assert found(world, job="run-0", text="überweisung") == []
    with pytest.raises(UsageError, match="nonsense"):
        found(world, nonsense="x")


def test_times_bound_a_search(world: World) -> None:
    reader = owner_reader(world.keys)
    everything = search(world.folder, reader, Query())
    middle = everything[30].time
    early = search(world.folder, reader, Query({"label": "untrusted"}, until=middle))
    late = search(world.folder, reader, Query({"label": "untrusted"}, since=middle))
    assert [r.sequence for r in early] == [r.sequence for r in everything if r.time <= middle]
    assert [r.sequence for r in late] == [r.sequence for r in everything if r.time >= middle]


def test_a_missing_damaged_or_foreign_index_is_built_again(world: World) -> None:
    indexes = sorted((world.folder / "derived").glob("*.index"))
    found(world, subject="/in/5.pdf")
    indexes = sorted((world.folder / "derived").glob("*.index"))
    assert len(indexes) == len(world.segments) - 1
    raw = bytearray(indexes[0].read_bytes())
    raw[40] ^= 1
    indexes[0].write_bytes(raw)
    indexes[1].unlink()
    indexes[2].write_bytes(indexes[1 - 1].read_bytes())
    assert found(world, label="untrusted") == list(range(60))
    assert index_sealed(world.folder, owner_reader(world.keys)) == 0


def test_an_index_shows_nothing(world: World) -> None:
    found(world, label="untrusted")
    for path in (world.folder / "derived").glob("*.index"):
        for word in (b"untrusted", b"agent", b"model", b".pdf", HASH.encode()):
            assert word not in path.read_bytes()


MANY = AuditEvent(
    "actor-x", "action-x", subject="subject-x", user="user-x", job="job-x", agent="agent-x",
    rule="rule-x", outcome="outcome-x", data=(DataRef("name-x", "ef" * 32, "label-x"),),
    model=ModelRef("model-x", "01" * 32),
)  # fmt: skip
VALUES = {
    "action": ["action-x"], "actor": ["actor-x"], "subject": ["subject-x"], "user": ["user-x"],
    "job": ["job-x"], "agent": ["agent-x"], "rule": ["rule-x"], "outcome": ["outcome-x"],
    "data": ["name-x", "ef" * 32], "label": ["label-x"], "model": ["model-x", "01" * 32],
}  # fmt: skip


@pytest.mark.parametrize("field", SEARCHABLE)
def test_every_field_is_found_with_an_index_and_without(field: str, world: World) -> None:
    log = world.open()
    early = log.append(MANY)
    for _ in range(30):
        log.append(AuditEvent("other", "other", subject="other"))
    assert len(world.segments) > 5
    late = log.append(MANY)
    log.close()
    reader = owner_reader(world.keys)
    index_sealed(world.folder, reader)
    for value in VALUES[field]:
        numbers = [r.sequence for r in search(world.folder, reader, Query({field: value}))]
        assert numbers == [early, late]
        # Exactly this value of exactly this field.
        assert search(world.folder, reader, Query({field: value[:-1]})) == []
        other = next(name for name in SEARCHABLE if name != field)
        assert search(world.folder, reader, Query({other: value})) == []
