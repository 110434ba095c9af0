"""Runs are forgotten when policy says so, and only those."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.killing import FileSecrets
from tests.swarm.scripted import request

from hivekeep.audit import AuditLog, records
from hivekeep.daemon.gate import PolicyGate
from hivekeep.daemon.retention import Retention, expired
from hivekeep.journal import KEY_BYTES, Journal, NewEvent, encode
from hivekeep.policy import PolicyHolder, PolicySources
from hivekeep.secrets import KeyStore
from hivekeep.swarm.events import Kind, RunRequest, fold

pytestmark = pytest.mark.anyio
DAY = 86_400.0
NOW = 1_800_000_000.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def fill(path: Path, folder: Path) -> None:
    """Runs that ended 100 and 10 days ago, one that builds on the oldest, one of them all open."""
    for name, age, ended, previous in (
        ("needed", 101, True, ""), ("old", 100, True, ""), ("young", 10, True, ""),
        ("open", 99, False, "needed"),
    ):  # fmt: skip
        with Journal(path, key=bytes(KEY_BYTES), clock=lambda age=age: NOW - age * DAY) as journal:  # type: ignore[misc]
            wanted: RunRequest = replace(request(folder, ["a.txt"]), previous=previous)
            created = NewEvent(name, Kind.RUN_CREATED, {"request": encode(wanted)})
            journal.append_now([created], blobs=(name.encode() * 3000,))
            if ended:
                journal.append_now([NewEvent(name, Kind.RUN_FINISHED, {"deliverables": []})])


async def test_only_what_policy_calls_old_is_forgotten(tmp_path: Path) -> None:
    path, policy = tmp_path / "journal.db", tmp_path / "policy.json"
    fill(path, tmp_path)
    keys = KeyStore(FileSecrets(tmp_path / "keys.json"))
    audit = AuditLog.open(tmp_path / "audit", keys)
    nowhere = tmp_path / "none"
    gate = PolicyGate(PolicyHolder(PolicySources(nowhere, nowhere, policy)), audit)
    with Journal(path, key=bytes(KEY_BYTES), clock=time.time) as journal:
        known = fold(list(journal.events()))
        retention = Retention(gate, journal, known, lambda: NOW)
        assert await retention.apply() == []
        policy.write_text(json.dumps({"retention": {"run_days": 30}}))
        assert await retention.apply() == ["old"]
        assert list(known) == ["needed", "young", "open"]
        assert {event.run for event in journal.events()} == {"needed", "young", "open"}
        assert journal.check() == []
        assert await retention.apply() == []
    audit.close()
    said = [r for r in records(tmp_path / "audit", keys, limit=100) if r.action == "run.forget"]
    assert [(r.subject, r.rule) for r in said] == [("old", "retention.run_days")]


async def test_a_clock_that_went_back_forgets_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    fill(path, tmp_path)
    with Journal(path, key=bytes(KEY_BYTES), clock=time.time) as journal:
        known = fold(list(journal.events()))
    assert expired(known, now=NOW - 365 * DAY, days=0) == []
    assert expired(known, now=NOW, days=0) == ["old", "young"]
