"""Runs by the clock, kept in a database of their own.

Responsible for when; what then happens is handed in.  Built on APScheduler 3, whose library and
database driver are loaded only once there is a schedule, because most profiles have none.
Invariant: a time that was missed while the machine slept or the program did not run is made up for
once, however many were missed, and each firing carries the same id when it is repeated after a
kill.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from hivekeep.domain.errors import HivekeepError, NotFoundError, UsageError

if TYPE_CHECKING:
    from apscheduler.job import Job
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

GRACE_SECONDS = 7 * 24 * 3600
# A timer does not run while the machine sleeps; this finds out soon after it woke up.
_HEARTBEAT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """A recipe over ``paths`` at the times of ``cron``: minute, hour, day, month, day of week."""

    id: str
    cron: str
    recipe: str
    paths: tuple[str, ...]
    output: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Due:
    """A schedule whose time has come. ``id`` is the same if it is delivered again."""

    id: str
    schedule: Schedule
    at: datetime


Fire = Callable[[Due], Awaitable[None]]


class Schedules:
    """The schedules in ``path``; use ``run`` inside a task group for their lifetime.

    :param fire: takes over a schedule that is due; it must be idempotent by ``Due.id``.
    :param troubled: is told when ``fire`` fails; the schedule stays.
    """

    def __init__(
        self, path: Path, fire: Fire, *, troubled: Callable[[Due, HivekeepError], None]
    ) -> None:
        self._path, self._fire, self._troubled = path, fire, troubled
        self._scheduler: AsyncIOScheduler | None = None
        self._opened = anyio.Event()
        self._send, self._receive = anyio.create_memory_object_stream[Due](math.inf)

    async def run(self) -> None:
        """Fire what is due until cancelled; sleeps for good while there is no schedule."""
        if self._path.exists():
            self._open()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._beat)
                async for due in self._receive:
                    tasks.start_soon(self._deliver, due)
        finally:
            if self._scheduler is not None:
                self._scheduler.shutdown(wait=False)
                self._scheduler = None

    def add(self, schedule: Schedule) -> datetime | None:
        """Remember one; returns when it is due first.

        :raises UsageError: if its times make no sense.
        """
        from apscheduler.triggers.cron import CronTrigger

        try:
            trigger = CronTrigger.from_crontab(schedule.cron)
        except ValueError as error:
            raise UsageError(
                f"'{schedule.cron}' are no times.",
                why=f"{error}.",
                next_step="Five fields: minute hour day month weekday, as in '0 8 * * mon-fri'.",
            ) from error
        job = self._open().add_job(
            "hivekeep.triggers.schedules:planned",
            trigger,
            id=schedule.id,
            name=schedule.title or schedule.recipe,
            kwargs={**asdict(schedule), "paths": list(schedule.paths)},
            replace_existing=True,
            coalesce=True,
            misfire_grace_time=GRACE_SECONDS,
            max_instances=8,
        )
        return _next(job)

    def remove(self, schedule: str) -> Schedule:
        """Forget one.

        :raises NotFoundError: if there is none of that id.
        """
        known = {one.id: one for one, _ in self.list()}
        if schedule not in known:
            raise NotFoundError(
                f"There is no schedule '{schedule}'.", next_step="'hivekeep schedule list'"
            )
        self._open().remove_job(schedule)
        return known[schedule]

    def list(self) -> list[tuple[Schedule, datetime | None]]:
        """Every schedule with the time it is due next."""
        if self._scheduler is None and not self._path.exists():
            return []
        return [(_schedule(job), _next(job)) for job in self._open().get_jobs()]

    async def _beat(self) -> None:
        await self._opened.wait()
        while self._scheduler is not None:
            await anyio.sleep(_HEARTBEAT_SECONDS)
            self._scheduler.wakeup()

    async def _deliver(self, due: Due) -> None:
        try:
            await self._fire(due)
        except HivekeepError as error:
            self._troubled(due, error)

    def _open(self) -> AsyncIOScheduler:
        if self._scheduler is None:
            self._scheduler = _scheduler(self._path, self._send.send_nowait)
            self._scheduler.start()
            self._opened.set()
        return self._scheduler


def planned(**_schedule: Any) -> None:
    """What the database names as the work of a schedule; the executor does it in its stead."""


def _scheduler(path: Path, deliver: Callable[[Due], None]) -> AsyncIOScheduler:
    from apscheduler.executors.base import BaseExecutor
    from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

    class Handing(BaseExecutor):  # type: ignore[misc]
        """Hands a due job over instead of calling a function that would need global state."""

        def _do_submit_job(self, job: Job, run_times: list[datetime]) -> None:
            at = run_times[-1]
            due = Due(f"{job.id}@{at.astimezone(UTC).isoformat()}", _schedule(job), at)
            deliver(due)
            self._run_job_success(job.id, [])

    return AsyncIOScheduler(
        jobstores={"default": SQLAlchemyJobStore(url=f"sqlite:///{path}")},
        executors={"default": Handing()},
    )


def _schedule(job: Job) -> Schedule:
    return Schedule(**{**job.kwargs, "paths": tuple(job.kwargs["paths"])})


def _next(job: Job) -> datetime | None:
    when: datetime | None = getattr(job, "next_run_time", None)
    return when
