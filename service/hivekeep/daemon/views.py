"""Runs as the local API shows them: plain JSON data.

Responsible for the shape of answers only; clients rely on these names.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from hivekeep.domain.runs import AgentState
from hivekeep.domain.values import FieldValue, ValueStatus
from hivekeep.journal import encode
from hivekeep.swarm.events import AgentRecord, RunRecord, StepRecord
from hivekeep.swarm.planning import SIMPLEST, editable, graph_text, graph_yaml
from hivekeep.swarm.progress import time_left, tokens_per_second
from hivekeep.swarm.reporting import OVERVIEW, missing


def run_summary(record: RunRecord) -> dict[str, Any]:
    """One line of ``runs list``."""
    return {
        "id": record.id,
        "title": record.request.title,
        "recipe": record.request.plan.recipe,
        "state": record.state.value,
        "trigger": record.request.trigger.value,
        "created": record.created,
        "started": record.started,
        "ended": record.ended,
        "documents": len(record.request.inputs),
        "counts": record.counts(),
        "needs_review": sum(
            agent.result is not None and agent.result.needs_review
            for agent in record.agents.values()
        ),
        "usage": encode(record.usage),
        "deliverables": list(record.deliverables),
        "error": record.error,
        "output": record.request.output,
        "model": record.request.plan.model,
        "goal": record.request.goal,
        "paused_for": record.paused_for,
        "missing": missing(record),
        "spent": encode(record.spent),
        "in_doubt": len(record.doubts()),
    }


def run_progress(record: RunRecord, now: float) -> dict[str, Any]:
    """A summary with one short entry per agent, for live views; ``now`` is wall-clock time."""
    left = time_left(record, now)
    return {
        **run_summary(record),
        "agents": [_agent_line(a) for a in record.agents.values()],
        "tokens_per_second": round(tokens_per_second(record, now), 2),
        "left": encode(left) if left else None,
    }


def run_detail(record: RunRecord) -> dict[str, Any]:
    """Everything about a run, every value with its evidence included."""
    return {
        **run_summary(record),
        "plan": plan_view(record),
        "doubts": [_doubt(owner, step) for owner, step in record.doubts()],
        "overview": _overview(record),
        "agents": [
            {
                **_agent_line(agent),
                "path": agent.input.path,
                "sha256": agent.input.sha256,
                "values": encode(agent.result)["values"] if agent.result else [],
                "problems": list(agent.result.problems) if agent.result else [],
                "failure": encode(agent.failure) if agent.failure else None,
            }
            for agent in record.agents.values()
        ],
    }


def plan_view(record: RunRecord) -> dict[str, Any] | None:
    """A free request's plan as data, as text, and as the YAML that a person may edit."""
    if record.graph is None:
        return None
    return {
        "tasks": encode(record.graph)["tasks"],
        "note": record.graph.note,
        "simplest": record.graph.note.startswith(SIMPLEST),
        "form": editable(record.graph),
        "accepted": record.graph_accepted,
        "text": graph_text(record.graph),
        "yaml": graph_yaml(record.graph),
    }


def _doubt(owner: str, step: StepRecord) -> dict[str, Any]:
    intent = step.intent or {}
    prepared = {k: v for k, v in intent.get("prepared", {}).items() if k != "data"}
    return {"agent": owner, "step": step.key, "why": step.doubt, "tool": intent.get("tool", ""),
            "arguments": intent.get("arguments", {}), "prepared": prepared}  # fmt: skip


def _overview(record: RunRecord) -> list[dict[str, Any]]:
    step = record.steps.get(OVERVIEW)
    return list(step.result["statements"]) if step and step.result else []


def _agent_line(agent: AgentRecord) -> dict[str, Any]:
    last = next(reversed(agent.steps), "")
    return {
        "id": agent.id,
        "name": PurePath(agent.input.path).name or agent.title,
        "role": agent.role.value,
        "task": agent.task,
        "parent": agent.parent,
        "state": agent.state.value,
        "step": last,
        "seconds": round(agent.seconds, 2),
        "usage": encode(agent.usage),
        "outcome": _outcome(agent),
    }


def _outcome(agent: AgentRecord) -> str:
    if agent.failure:
        return agent.failure.reason
    if agent.state is not AgentState.DONE or agent.result is None:
        return ""
    values = [value for value in agent.result.values if isinstance(value, FieldValue)]
    sure = sum(v.status in (ValueStatus.GROUNDED, ValueStatus.DERIVED) for v in values)
    review = sum(v.status is ValueStatus.NEEDS_REVIEW for v in values)
    return f"{sure} checked" + (f", {review} to review" if review else "")
