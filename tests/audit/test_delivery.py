"""Real receivers get records and checkpoints, also when the log's process is killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.audit.receivers import collected, collector, parameters, parse_message, syslog
from tests.audit.test_audit_log import opened_keys
from tests.audit.test_outlets import until
from tests.audit.world import World

from hivekeep.audit import AuditEvent, AuditLog, AuditSettings
from hivekeep.audit.delivery import SINKS, WITNESSES, Target, send_records, syslog_message
from hivekeep.audit.record import AuditRecord
from hivekeep_verify import check_log


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "audit")


@pytest.mark.parametrize("kind", ["udp", "tcp"])
def test_a_syslog_witness_gets_checkpoints_that_prove_a_cut(
    kind: str, world: World, tmp_path: Path
) -> None:
    with syslog(kind) as (port, got):
        place = Target.parse(f"syslog+{kind}://127.0.0.1:{port}", WITNESSES)
        log = world.open(AuditSettings(witnesses=(place,)))
        log.append(AuditEvent("test", "act"))
        log.anchor()
        early = world.copy(tmp_path / "early")
        log.append(AuditEvent("test", "act"))
        log.anchor()
        assert [state.current for state in log.witness_states()] == [True]
        newest = log.checkpoint
        log.close()
        until(lambda: len(got) >= 2)
    parts = [parse_message(message) for message in got]
    assert {(part["app"], part["kind"]) for part in parts} == {("hivekeep", "checkpoint")}
    notes = [json.loads(part["said"])["checkpoint"] for part in parts]
    assert newest in notes
    witnessed = [("syslog", note) for note in notes]
    assert check_log(world.folder, witnessed=witnessed).problems == ()
    assert "once held" in str(check_log(early.folder, witnessed=witnessed).problems)


def test_a_web_witness_that_was_away_gets_the_newest_checkpoint(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    place = Target.parse(f"http://127.0.0.1:{port}/add", WITNESSES)
    log = world.open(AuditSettings(witnesses=(place,)))
    log.append(AuditEvent("test", "act"))
    log.anchor()
    (state,) = log.witness_states()
    assert (state.current, "refused" in state.why) == (False, True)
    with collector(port) as (_, got):
        log.anchor()
        assert [(state.current, state.why) for state in log.witness_states()] == [(True, "")]
    log.close()
    ((path, kind, body),) = got
    assert (path, kind, body.decode()) == ("/add", "text/plain", log.checkpoint)


@settings(max_examples=200, deadline=None)
@given(st.text(), st.text(), st.integers(0, 2**53))
def test_any_record_is_a_syslog_message(action: str, subject: str, number: int) -> None:
    text = action.encode("utf-8", "replace").decode()
    record = AuditRecord(number, 1_764_000_000.5, 1.0, "a", text, subject, "", "denied", {})
    parts = parse_message(syslog_message(record))
    assert parameters(parts["data"]) == {"record": str(number), "action": text}
    assert int(parts["priority"]) == 13 * 8 + 4
    assert json.loads(parts["said"])["action"] == text


def test_a_datagram_is_cut_between_characters() -> None:
    record = AuditRecord(1, 1_764_000_000.5, 1.0, "a", "act", "\u00fc" * 40_000, "", "", {})
    with syslog("udp") as (port, got):
        send_records(Target.parse(f"syslog+udp://127.0.0.1:{port}", SINKS), [record], "1")
        until(lambda: len(got) == 1)
    assert 59_990 < len(got[0]) <= 60_000
    assert parse_message(got[0])["kind"] == "audit"


WRITER = """
import os, sys
from pathlib import Path
from hivekeep.audit import AuditEvent, AuditLog, AuditSettings
from hivekeep.audit import forwarding
from hivekeep.audit.delivery import SINKS, Target
from tests.audit.test_audit_log import opened_keys
forwarding._GATHERING, forwarding._BATCH = 0.001, 3
folder = Path(sys.argv[1])
sink = Target.parse(sys.argv[2], SINKS)
log = AuditLog.open(folder / "audit", opened_keys(folder), AuditSettings(sinks=(sink,)))
for number in range(100_000):
    at = log.append(AuditEvent("writer", "act", subject=str(number)))
    os.write(1, f"{at}\\n".encode())
"""


def written_until_killed(folder: Path, address: str, count: int) -> list[int]:
    """Numbers of the records that a process acknowledged before it was killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), address], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(count)]
    os.kill(process.pid, signal.SIGKILL)
    lines += process.stdout.readlines()
    process.wait()
    return [int(line) for line in lines if line.endswith("\n")]


@pytest.mark.parametrize("kind", ["otlp+http", "syslog+tcp"])
def test_what_a_sink_did_not_get_before_a_kill_it_gets_afterwards(
    kind: str, tmp_path: Path
) -> None:
    opened = collector() if kind == "otlp+http" else syslog("tcp")
    with opened as (port, got):

        def arrived() -> list[int]:
            if kind == "syslog+tcp":
                return [int(parameters(parse_message(m)["data"])["record"]) for m in list(got)]  # type: ignore[arg-type]
            found = []
            for record in collected(got):  # type: ignore[arg-type]
                said = {a["key"]: a["value"]["stringValue"] for a in record["attributes"]}
                assert record["timeUnixNano"].isdigit()
                found.append(int(said["hivekeep.sequence"]))
            return found

        address = f"{kind}://127.0.0.1:{port}"
        acknowledged: list[int] = []
        for count in (3, 25, 60):
            acknowledged += written_until_killed(tmp_path, address, count)
        place = Target.parse(address, SINKS)
        log = AuditLog.open(
            tmp_path / "audit", opened_keys(tmp_path), AuditSettings(sinks=(place,))
        )
        last = log.append(AuditEvent("test", "last"))
        until(lambda: last in arrived())
        log.close()
        numbers = arrived()
        assert set(acknowledged) <= set(numbers)
        # In order, and nothing twice but what was under way at a kill.
        steps = [b - a for a, b in pairwise(numbers)]
        assert sum(step <= 0 for step in steps) <= 3
        assert min(steps) > -4


def test_a_cursor_that_was_damaged_sends_everything_again(world: World) -> None:
    with collector() as (port, got):
        place = Target.parse(f"otlp+http://127.0.0.1:{port}", SINKS)
        log = world.open(AuditSettings(sinks=(place,)))
        log.append(AuditEvent("test", "act"))
        until(lambda: log.sink_states()[0].next_record == 2)
        log.close()
        (cursor,) = (world.folder / "sinks").iterdir()
        cursor.write_bytes(b"\x00nonsense")
        log = world.open(AuditSettings(sinks=(place,)))
        until(lambda: len(collected(got)) == 2)
        log.close()
