"""What a run may take from an earlier one instead of doing it again.

Responsible for deciding when two steps are the same: the same content read, or the same question
asked of the same model.  Invariant: a result is taken only if nothing that it depends on changed.
"""

from __future__ import annotations

import json
from typing import Any

from hivekeep.domain.errors import JournalError
from hivekeep.domain.runs import StepKind
from hivekeep.journal import Journal
from hivekeep.swarm.events import AgentRecord, RunRecord
from hivekeep.swarm.steps import Recall, Recalled


def recall_from(previous: RunRecord, record: RunRecord, journal: Journal) -> Recall:
    """A look-up of ``previous``'s results for the steps of ``record``."""
    same_model = previous.request.model_sha256 == record.request.model_sha256
    known: dict[str, dict[str, Any]] = {}
    owners = [previous.steps, *(agent.steps for agent in previous.agents.values())]
    for steps in owners:
        for step in steps.values():
            if step.done and step.result is not None and step.intent is not None:
                identity = _identity(step.kind, step.intent, same_model=same_model)
                if identity:
                    known.setdefault(identity, step.result)

    def recall(
        _agent: AgentRecord | None, _key: str, kind: StepKind, intent: dict[str, Any]
    ) -> Recalled | None:
        identity = _identity(kind, intent, same_model=same_model)
        result = known.get(identity) if identity else None
        if result is None or not _still_there(kind, result, journal):
            return None
        return Recalled(previous.id, result)

    return recall


def _identity(kind: StepKind, intent: dict[str, Any], *, same_model: bool) -> str:
    """Equal for steps that must have equal results; empty if a step is never taken over."""
    if kind is StepKind.READ and intent.get("sha256"):
        return f"read {intent['sha256']}"
    if kind is StepKind.GENERATE and same_model:
        return f"generate {json.dumps(intent, sort_keys=True)}"
    return ""


def _still_there(kind: StepKind, result: dict[str, Any], journal: Journal) -> bool:
    if kind is not StepKind.READ:
        return True
    try:
        journal.blob(result["document"])
    except JournalError:
        return False
    return True
