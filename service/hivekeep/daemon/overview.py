"""The daemon's state at a glance: what a tray icon has to show.

Responsible for the one summary of runs, approvals, pause and problems; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from hivekeep.approvals import ApprovalDesk
from hivekeep.daemon.pause import Pause
from hivekeep.domain.runs import RunState
from hivekeep.swarm.events import RunRecord

_RECENT = 6


@dataclass(frozen=True, slots=True)
class Glance:
    """Puts the summary together.

    :param problems: what is wrong with policy or audit, as short codes with a text each.
    :param desktop: what policy says of tray, notifications and clipboard.
    """

    records: Callable[[], Mapping[str, RunRecord]]
    desk: ApprovalDesk
    pause: Pause
    problems: Callable[[], Sequence[dict[str, str]]]
    clock: Callable[[], float]
    desktop: Callable[[], dict[str, Any]] = dict

    def overview(self) -> dict[str, Any]:
        """The summary; ``state`` is the most urgent of problem, waiting, paused, working, idle."""
        records = list(self.records().values())
        active = [_progress(r, self.clock()) for r in records if not r.state.ended]
        finished = [r for r in reversed(records) if r.state is RunState.FINISHED][:_RECENT]
        waiting, problems, until = self.desk.pending(), list(self.problems()), self.pause.until
        states = (
            ("problem", bool(problems)),
            ("waiting", bool(waiting)),
            ("paused", until is not None),
            ("working", any(not r.state.at_rest for r in records)),
            ("idle", True),
        )
        return {
            "state": next(name for name, holds in states if holds),
            "approvals": len(waiting),
            "newest_approval": waiting[-1].request.id if waiting else "",
            "waiting": [case.request.id for case in waiting],
            "paused_until": until,
            "problems": problems,
            "runs": active,
            "recent": [_recent(record) for record in finished],
            "desktop": self.desktop(),
        }


def _progress(record: RunRecord, now: float) -> dict[str, Any]:
    total = len(record.agents)
    ended = sum(agent.state.ended for agent in record.agents.values())
    return {
        "id": record.id,
        "title": record.request.title,
        "state": record.state.value,
        "paused_for": record.paused_for,
        "done": ended,
        "documents": total,
        "seconds_left": seconds_left(record, now),
    }


def seconds_left(record: RunRecord, now: float) -> float | None:
    """How long a run will probably take; ``None`` while too little is known."""
    total = len(record.agents)
    ended = sum(agent.state.ended for agent in record.agents.values())
    if record.state.ended or record.started is None or not ended:
        return None
    return round((now - record.started) / ended * (total - ended), 1)


def _recent(record: RunRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "title": record.request.title,
        "ended": record.ended,
        "documents": len(record.agents),
        "deliverables": [
            {"path": path, "name": PurePath(path).name} for path in record.deliverables
        ],
    }
