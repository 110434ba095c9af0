"""Logs as they are written today, checked by a verifier that was made from the page alone."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.audit.page_verifier import Verifier, WrongError
from tests.audit.test_vectors import EXPECTED, LOG
from tests.audit.world import World

from hivekeep.audit import AuditEvent, AuditSettings, Recipient, records
from hivekeep.audit import log as log_module
from hivekeep.audit.custody import rewrap, shred
from hivekeep.audit.opening import begin_anew
from hivekeep.audit.sealing import new_administrator
from hivekeep_verify import check_log


def owner_of(world: World) -> bytes:
    said = json.loads(next(v for k, v in world.memory.table.items() if "audit-log" in k))
    return b64decode(said["owner"])


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A log with everything: segments, epochs, other readers and owners, destroyed keys."""
    world = World(tmp_path_factory.mktemp("lived") / "audit")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_module, "SEGMENT_BYTES", 4_000)
        world.write(12, epochs=1)
        log = world.open(AuditSettings(recipients=(Recipient.parse(new_administrator()[1]),)))
        log.append_many([AuditEvent("swarm", "act.many", subject=f"\u00fc{n}") for n in range(9)])
        rewrap(log, (), new_owner_key=True)
        log.evolve()
        log.append(AuditEvent("test", "act.after", detail={"big": 2**60, "half": 0.5}))
        log.close()
        ahead = world.open()
        ahead._wall = lambda: 4_000_000_000.0
        for number in range(12):
            ahead.append(AuditEvent("later", f"act.{number}"))
        assert shred(ahead, older_than_days=1)
        ahead.append(AuditEvent("later", "act.last"))
        ahead.close()
    return world


def test_a_log_with_everything_holds_by_the_page(lived: World) -> None:
    page = Verifier(lived.folder, owner_of(lived))
    ours = lived.verify()
    assert ours.problems == ()
    assert page.run(trusted=ours.keys[0].public) == ours.records
    assert (page.epoch, page.keys) == (2, [key.public for key in ours.keys])
    found = {r.sequence: r.action for r in records(lived.folder, lived.keys)}
    assert {index: said["action"] for index, said in page.contents.items()} == found
    assert len(found) < ours.events  # some content was destroyed
    assert None in page.key_files.values()


def test_the_vectors_hold_by_the_page() -> None:
    page = Verifier(LOG, bytes.fromhex(EXPECTED["owner_key"]))
    page.run([(LOG / "head").read_text()])
    said = [{k: v for k, v in one.items() if k != "mono"} for one in page.contents.values()]
    assert said == [
        {k: v for k, v in one.items() if k != "sequence"} for one in EXPECTED["records"]
    ]


def test_a_log_begun_anew_names_what_was_set_aside(tmp_path: Path) -> None:
    world = World(tmp_path / "audit")
    world.write(3)
    old = (world.folder / "head").read_text()
    aside = begin_anew(world.folder, world.keys)
    world.write(2)
    page = Verifier(world.folder, owner_of(world))
    assert page.run() == world.verify().records
    with pytest.raises(WrongError, match="another log"):
        page.outside(old)
    assert Verifier(aside, owner_of(world)).run([old]) == 4
    first = json.loads(world.frames()[0][4 + 9 : -32])
    assert first["continues"] == {
        "anchor": old, "format": "hivekeep-audit/2", "set_aside": aside.name
    }  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(place=st.integers(0, 10**9), bit=st.integers(0, 7))
@example(place=0, bit=0)
@example(place=10**9, bit=7)
def test_both_verifiers_refuse_the_same_damage(lived: World, place: int, bit: int) -> None:
    paths = [*lived.segments, lived.folder / "head", *sorted(lived.folder.glob("keys/*.json"))]
    sizes = [path.stat().st_size for path in paths]
    place %= sum(sizes)
    while place >= sizes[0]:
        place -= sizes.pop(0)
        paths.pop(0)
    target, good = paths[0], paths[0].read_bytes()
    damaged = bytearray(good)
    damaged[place] ^= 1 << bit
    try:
        target.write_bytes(damaged)
        ours = check_log(lived.folder)
        refused = True
        with suppress(WrongError, ValueError, KeyError, TypeError):
            Verifier(lived.folder).run()
            refused = False
    finally:
        target.write_bytes(good)
    assert refused
    assert not ours.ok


def test_the_page_verifier_knows_nothing_of_ours() -> None:
    text = (Path(__file__).parent / "page_verifier.py").read_text()
    assert not re.search(r"^\s*(from|import) (hivekeep|tests)", text, re.MULTILINE)
