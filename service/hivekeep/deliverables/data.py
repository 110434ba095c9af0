"""The report as JSON: every value with all its evidence, for other programs.

Responsible for the format only.  Invariant: valid UTF-8 whatever the documents and file names hold,
and the same report gives the same bytes.
"""

from __future__ import annotations

import json
import re
from typing import Any

from hivekeep.deliverables.findings import overview_json
from hivekeep.deliverables.sheets import failure_of
from hivekeep.domain.fields import FieldSpec
from hivekeep.domain.report import DocumentOutcome, RunReport, TaskOutcome
from hivekeep.domain.runs import Usage
from hivekeep.domain.values import CheckedValue, FieldValue, RowsValue

FORMAT = "hivekeep-report/1"
_SURROGATE = re.compile("[\ud800-\udfff]")


def report_json(report: RunReport) -> bytes:
    """The whole report; lone surrogates of file names stay as ``\\udcXX`` escapes."""
    data = {
        "format": FORMAT,
        "run": report.run,
        "title": report.title,
        "recipe": {
            "name": report.recipe,
            "version": report.recipe_version,
            "sha256": report.recipe_hash,
        },
        "model": {"name": report.model, "sha256": report.model_sha256},
        "started": report.started.isoformat(),
        "finished": report.finished.isoformat(),
        "program_version": report.program_version,
        "usage": _usage(report.usage),
        "fields": [_field(spec) for spec in report.fields],
        "documents": [_document(outcome) for outcome in report.documents],
        "missing": list(report.missing),
    }
    if report.overview:
        data["overview"] = overview_json(report.overview)
    if report.request:
        data["request"] = report.request
        data["plan"] = report.plan_note
        data["tasks"] = [_task(task) for task in report.tasks]
    text = json.dumps(data, ensure_ascii=False, indent=1)
    return (_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n").encode()


def _field(spec: FieldSpec) -> dict[str, Any]:
    described: dict[str, Any] = {"name": spec.name, "type": spec.type.value, "title": spec.title}
    if spec.columns:
        described["columns"] = [_field(column) for column in spec.columns]
    return described


def _document(outcome: DocumentOutcome) -> dict[str, Any]:
    described: dict[str, Any] = {
        "path": outcome.path,
        "sha256": outcome.sha256,
        "size": outcome.size,
        "state": outcome.state.value,
        "pages": outcome.pages,
        "media_type": outcome.media_type,
        "notes": list(outcome.notes),
        "usage": _usage(outcome.usage),
    }
    if outcome.result is None:
        failure = failure_of(outcome)
        described["failure"] = {
            "reason": failure.reason,
            "what": failure.what,
            "why": failure.why,
            "next": failure.next_step,
        }
    else:
        described["needs_review"] = outcome.result.needs_review
        described["problems"] = list(outcome.result.problems)
        described["values"] = {value.name: _value(value) for value in outcome.result.values}
    return described


def _task(task: TaskOutcome) -> dict[str, Any]:
    described: dict[str, Any] = {"id": task.id, "goal": task.goal, "state": task.state.value}
    if task.failure is not None:
        described["failure"] = {"reason": task.failure.reason, "what": task.failure.line}
    described["values"] = {value.name: _value(value) for value in task.values}
    described["problems"] = list(task.problems)
    described["files"] = list(task.files)
    return described


def _value(value: CheckedValue) -> dict[str, Any]:
    if isinstance(value, RowsValue):
        return {
            "status": value.status.value,
            "reason": value.reason,
            "rows": [{cell.name: _scalar(cell) for cell in row} for row in value.rows],
        }
    return _scalar(value)


def _scalar(value: FieldValue) -> dict[str, Any]:
    return {
        "value": value.value,
        "status": value.status.value,
        "reason": value.reason,
        "confidence": value.confidence,
        "evidence": [
            {
                "page": evidence.page,
                "block": evidence.block,
                "start": evidence.start,
                "end": evidence.end,
                "quote": evidence.quote,
                "locator": evidence.locator,
            }
            for evidence in value.evidence
        ],
    }


def _usage(usage: Usage) -> dict[str, int]:
    return {"prompt": usage.prompt, "cached": usage.cached, "completion": usage.completion}
