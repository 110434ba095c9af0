"""Runs as the local API shows them: plain JSON data.

Responsible for the shape of answers only; clients rely on these names.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from hivekeep.domain.runs import AgentState
from hivekeep.domain.values import FieldValue, ValueStatus
from hivekeep.journal import encode
from hivekeep.swarm.events import AgentRecord, RunRecord


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
        "documents": len(record.agents),
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
    }


def run_progress(record: RunRecord) -> dict[str, Any]:
    """A summary with one short entry per agent, for live views."""
    return {**run_summary(record), "agents": [_agent_line(a) for a in record.agents.values()]}


def run_detail(record: RunRecord) -> dict[str, Any]:
    """Everything about a run, every value with its evidence included."""
    return {
        **run_summary(record),
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


def _agent_line(agent: AgentRecord) -> dict[str, Any]:
    last = next(reversed(agent.steps), "")
    return {
        "id": agent.id,
        "name": PurePath(agent.input.path).name,
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
