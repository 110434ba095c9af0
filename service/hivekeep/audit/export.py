"""Records in the formats that other systems read: JSON Lines, CSV, OCSF and CEF.

Responsible for one line per record, as pure functions; who may export is policy's to say.
Sources: https://schema.ocsf.io (1.3.0, class 6003 API Activity) and ArcSight's Common Event Format.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from hivekeep.audit.record import AuditRecord, DataRef, plain, timestamp

_COLUMNS = (
    "sequence", "time", "actor", "user", "job", "agent", "action", "subject", "outcome", "rule",
    "approval", "arguments", "data", "model", "result", "detail",
)  # fmt: skip
_UNMAPPED = ("subject", "rule", "approval", "arguments", "model", "detail", "result")
# What a spreadsheet would take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
# Everything that some reader takes for the end of a line.
_LINE_BREAK = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_VENDOR, _PRODUCT = "Hivekeep", "Hivekeep"
_REFUSED = ("denied", "failed", "error", "refused")


def refused(record: AuditRecord) -> bool:
    """Whether the action did not happen or did not succeed."""
    return record.outcome.lower().startswith(_REFUSED)


def json_lines(records: Iterable[AuditRecord], _version: str) -> Iterator[str]:
    """One JSON object a record, with the fields of docs/audit-format.md."""
    for record in records:
        yield json.dumps(plain(record), ensure_ascii=False, separators=(",", ":"))


def comma_separated(records: Iterable[AuditRecord], _version: str) -> Iterator[str]:
    """A header line, then one line a record; nothing in it is a formula to a spreadsheet."""
    yield _csv_line(_COLUMNS)
    for record in records:
        said = plain(record)
        yield _csv_line([_cell(said.get(name, "")) for name in _COLUMNS])


def ocsf(records: Iterable[AuditRecord], version: str) -> Iterator[str]:
    """One OCSF event a record: class API Activity, activity Other."""
    for record in records:
        said = plain(record)
        request = {"request": {"uid": record.job}} if record.job else {}
        event: dict[str, Any] = {
            "category_uid": 6, "class_uid": 6003, "activity_id": 99, "type_uid": 600399,
            "activity_name": record.action, "time": int(record.time * 1000),
            "severity_id": 3 if refused(record) else 1,
            "status_id": 2 if refused(record) else 1,
            "metadata": {
                "version": "1.3.0", "uid": str(record.sequence),
                "product": {"name": _PRODUCT, "vendor_name": _VENDOR, "version": version},
            },
            "actor": {
                "user": {"name": record.user or record.actor},
                "app_name": record.agent or record.actor,
            },
            "api": {"operation": record.action, **request},
            "src_endpoint": {"name": "localhost"},
            "resources": [_resource(item) for item in record.data],
            "unmapped": {name: said[name] for name in _UNMAPPED if said.get(name)},
        }  # fmt: skip
        if record.outcome:
            event["status"] = record.outcome
        yield json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def cef(records: Iterable[AuditRecord], version: str) -> Iterator[str]:
    """One CEF line a record."""
    for record in records:
        head = "|".join(
            _cef_head(part)
            for part in ("CEF:0", _VENDOR, _PRODUCT, version, record.action, record.action)
        )
        fields = {
            "rt": str(int(record.time * 1000)), "externalId": str(record.sequence),
            "act": record.action, "outcome": record.outcome, "suser": record.user or record.actor,
            "sproc": record.agent, "request": record.subject, "reason": record.result,
            "fileHash": record.data[0].sha256 if record.data else "",
            "cs1Label": "rule" if record.rule else "", "cs1": record.rule,
            "cs2Label": "job" if record.job else "", "cs2": record.job,
            "cs3Label": "approval" if record.approval else "", "cs3": record.approval,
            "cs4Label": "model" if record.model else "",
            "cs4": record.model.name if record.model else "",
        }  # fmt: skip
        extension = " ".join(f"{name}={_cef_value(v)}" for name, v in fields.items() if v)
        yield f"{head}|{6 if refused(record) else 2}|{extension}"


FORMATS: dict[str, Callable[[Iterable[AuditRecord], str], Iterator[str]]] = {
    "jsonl": json_lines,
    "csv": comma_separated,
    "ocsf": ocsf,
    "cef": cef,
}


def _resource(item: DataRef) -> dict[str, Any]:
    labels = [item.label] if item.label else []
    found = {"name": item.name, "uid": item.sha256, "labels": labels}
    return {name: value for name, value in found.items() if value}


def _csv_line(cells: Iterable[str]) -> str:
    line = io.StringIO()
    # The writer quotes line breaks only if it writes them itself.
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue().removesuffix("\r\n")


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _cef_head(text: str) -> str:
    return _LINE_BREAK.sub(" ", text.replace("\\", "\\\\").replace("|", "\\|"))


def _cef_value(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("=", "\\=")
    return _LINE_BREAK.sub(r"\\n", escaped)


def moment(record: AuditRecord) -> str:
    """When it happened, after RFC 3339."""
    return timestamp(record.time)
