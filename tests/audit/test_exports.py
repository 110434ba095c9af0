"""Each export format keeps its own rules for whatever a record holds."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hivekeep.audit.export import FORMATS
from hivekeep.audit.record import AuditEvent, AuditRecord, DataRef, ModelRef, from_bytes, to_bytes

TEXT = st.text(max_size=20)
EVENTS = st.builds(
    AuditEvent,
    actor=TEXT, action=TEXT, subject=TEXT, rule=TEXT, outcome=st.sampled_from(["", "denied", "ok"]),
    user=TEXT, job=TEXT, agent=TEXT, approval=TEXT, result=TEXT,
    arguments=st.dictionaries(TEXT, TEXT | st.integers() | st.booleans(), max_size=2),
    detail=st.dictionaries(TEXT, st.lists(TEXT, max_size=2), max_size=2),
    data=st.lists(st.builds(DataRef, TEXT, TEXT, TEXT), max_size=2).map(tuple),
    model=st.none() | st.builds(ModelRef, TEXT, TEXT),
)  # fmt: skip


def recorded(event: AuditEvent) -> AuditRecord:
    return from_bytes(7, to_bytes(event, time=1_764_000_000.25, monotonic=3.0))


RECORDS = EVENTS.map(recorded)
_BREAK = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")


@settings(max_examples=200, deadline=None)
@given(st.lists(RECORDS, max_size=4))
def test_json_lines(found: list[AuditRecord]) -> None:
    """https://jsonlines.org: UTF-8, one JSON value a line, no line break within."""
    lines = list(FORMATS["jsonl"](found, "1.0"))
    assert len(lines) == len(found)
    for line, record in zip(lines, found, strict=True):
        assert not {"\n", "\r"} & set(line)
        said = json.loads(line.encode("utf-8"))
        assert (said["sequence"], said["actor"], said["action"]) == (7, record.actor, record.action)
        assert said.get("arguments", {}) == record.arguments


@settings(max_examples=200, deadline=None)
@given(st.lists(RECORDS, max_size=4))
def test_csv(found: list[AuditRecord]) -> None:
    """RFC 4180, and nothing that a spreadsheet would compute."""
    text = "".join(f"{line}\r\n" for line in FORMATS["csv"](found, "1.0"))
    rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    assert len(rows) == len(found)
    for row, record in zip(rows, found, strict=True):
        assert None not in row
        assert None not in row.values()
        for name in ("actor", "subject", "approval", "result"):
            value = getattr(record, name)
            assert row[name] == (f"'{value}" if value[:1] in "=+-@\t\r" and value else value)
        assert json.loads(row["arguments"] or "{}") == record.arguments
        for cell in row.values():
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


@settings(max_examples=200, deadline=None)
@given(RECORDS)
def test_ocsf(record: AuditRecord) -> None:
    """https://schema.ocsf.io/1.3.0/classes/api_activity: what is required, and enums."""
    (line,) = FORMATS["ocsf"]([record], "1.0")
    event: dict[str, Any] = json.loads(line)
    required = {
        "activity_id", "actor", "api", "category_uid", "class_uid", "metadata", "severity_id",
        "src_endpoint", "time", "type_uid",
    }  # fmt: skip
    assert required <= set(event)
    assert (event["class_uid"], event["category_uid"]) == (6003, 6)
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    assert event["activity_id"] in {0, 1, 2, 3, 4, 99}
    assert event["severity_id"] in {0, 1, 2, 3, 4, 5, 6, 99}
    assert event["status_id"] in {0, 1, 2, 99}
    assert event["time"] == 1_764_000_000_250
    assert event["activity_name"] == record.action
    assert {"product", "version"} <= set(event["metadata"])
    assert event["metadata"]["product"]["vendor_name"]
    assert event["api"]["operation"] == record.action
    assert event["api"].get("request", {"uid": "x"})["uid"]
    assert event["src_endpoint"]["name"]
    assert set(event["actor"]) & {"process", "user", "session", "app_name", "invoked_by", "idp"}
    for resource in event["resources"]:
        assert all(resource.values())
        assert set(resource) <= {"name", "uid", "labels"}
    assert event.get("status", record.outcome) == record.outcome


@settings(max_examples=300, deadline=None)
@given(RECORDS)
def test_cef(record: AuditRecord) -> None:
    """ArcSight's CEF, read by the rules of its guide: seven bars, then keys and escaped values."""
    (line,) = FORMATS["cef"]([record], "1|0\\")
    assert not _BREAK.search(line)
    match = re.fullmatch(r"((?:(?:[^|\\]|\\[|\\])*\|){7})(.*)", line, re.DOTALL)
    assert match
    head = re.findall(r"((?:[^|\\]|\\[|\\])*)\|", match[1])
    version, *names, severity = (re.sub(r"\\([|\\])", r"\1", part) for part in head)
    assert (version, names[:3]) == ("CEF:0", ["Hivekeep", "Hivekeep", "1|0\\"])
    assert names[3] == _BREAK.sub(" ", record.action)
    assert severity in {"2", "6"}
    fields = {
        key: re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), value)
        for key, value in re.findall(r"(?:^| )(\w+)=((?:[^=\\]|\\.)*?)(?= \w+=|$)", match[2])
    }
    assert fields["externalId"] == "7"
    for key, value in {"outcome": record.outcome, "request": record.subject, "cs1": record.rule,
                       "cs2": record.job, "cs3": record.approval}.items():  # fmt: skip
        assert fields.get(key, "") == _BREAK.sub("\n", value)
    for key in fields:
        assert not re.fullmatch(r"cs\d", key) or f"{key}Label" in fields
