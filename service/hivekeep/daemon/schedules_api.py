"""The local API's routes for schedules, and what a schedule does when its time has come.

Responsible for passing each schedule through policy, when it is made and when it fires; the times
are ``triggers.schedules``.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from hivekeep.daemon.gate import PolicyGate
from hivekeep.daemon.routing import Body, Routes
from hivekeep.domain.actions import Action, ActionKind
from hivekeep.domain.errors import HivekeepError
from hivekeep.journal import encode
from hivekeep.triggers.schedules import Due, Schedule, Schedules

logger = logging.getLogger(__name__)

Path = Annotated[str, Field(min_length=1, max_length=4096)]


class ScheduleBody(Body):
    """A recipe over files and folders at the times of a crontab line."""

    cron: str = Field(min_length=9, max_length=200)
    recipe: str = Field(min_length=1, max_length=4096)
    paths: list[Path] = Field(min_length=1, max_length=1000)
    output: str = Field(default="", max_length=4096)
    title: str = Field(default="", max_length=200)


class Planner:
    """Fires schedules and answers for them."""

    def __init__(
        self,
        gate: PolicyGate,
        find: Callable[[str], object],
        start: Callable[..., Awaitable[object]],
    ) -> None:
        self._gate, self._find, self._start = gate, find, start

    async def fire(self, due: Due) -> None:
        """Start the run of a schedule that is due.

        :raises HivekeepError: if policy forbids it now, or the run cannot start.
        """
        schedule = due.schedule
        await self._gate.require(
            Action(
                ActionKind.SCHEDULE_RUN, recipe=schedule.recipe,
                local_time=datetime.now().strftime("%H:%M"),  # noqa: DTZ005 - policy's are local
            )
        )  # fmt: skip
        await self._start(
            schedule.recipe, schedule.paths, output=schedule.output, title=schedule.title,
            due=due.id,
        )  # fmt: skip

    @staticmethod
    def troubled(due: Due, error: HivekeepError) -> None:
        """A schedule could not start its run; it is due again at its next time."""
        logger.warning("schedule %s: %s", due.schedule.id, error)

    async def add(self, schedules: Schedules, body: ScheduleBody) -> dict[str, Any]:
        """Keep a schedule, if its recipe exists and policy allows schedules."""
        self._find(body.recipe)
        await self._gate.require(Action(ActionKind.SCHEDULE_RUN, recipe=body.recipe))
        schedule = Schedule(
            id=f"s{secrets.token_hex(3)}", cron=body.cron, recipe=body.recipe,
            paths=tuple(body.paths), output=body.output, title=body.title,
        )  # fmt: skip
        when = schedules.add(schedule)
        await self._gate.record("schedule.add", subject=schedule.id, outcome="kept",
                                **encode(schedule))  # fmt: skip
        return view(schedule, when)

    async def remove(self, schedules: Schedules, schedule: str) -> dict[str, Any]:
        """Forget a schedule."""
        gone = schedules.remove(schedule)
        await self._gate.record("schedule.remove", subject=gone.id, outcome="gone")
        return view(gone, None)


def view(schedule: Schedule, when: datetime | None) -> dict[str, Any]:
    """One schedule as clients see it; ``next`` in seconds since the epoch."""
    shown: dict[str, Any] = encode(schedule)
    return {**shown, "next": when.timestamp() if when else None}


def add_schedule_routes(routes: Routes, planner: Planner, schedules: Schedules) -> None:
    """Add the routes under ``/v1/schedules``."""

    @routes.get("/v1/schedules")
    async def list_schedules() -> dict[str, Any]:
        return {"schedules": [view(one, when) for one, when in schedules.list()]}

    @routes.post("/v1/schedules", status=201)
    async def add_schedule(body: ScheduleBody) -> dict[str, Any]:
        return await planner.add(schedules, body)

    @routes.delete("/v1/schedules/{schedule}")
    async def remove_schedule(schedule: str) -> dict[str, Any]:
        return await planner.remove(schedules, schedule)
