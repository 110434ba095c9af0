"""Schedules survive restarts, make up for missed times once, and keep the id of a firing."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest
from sqlalchemy import create_engine, text

from hivekeep.domain.errors import HivekeepError, NotFoundError, StorageError, UsageError
from hivekeep.triggers.schedules import Due, Schedule, Schedules

pytestmark = pytest.mark.anyio
NIGHTLY = Schedule("s1", "0 3 * * *", "invoices", ("/in", "/other"), title="Nightly")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Fired:
    """What was fired and what went wrong."""

    def __init__(self, *, failing: bool = False) -> None:
        self.dues: list[Due] = []
        self.troubles: list[str] = []
        self.failing = failing
        self.event = anyio.Event()

    async def fire(self, due: Due) -> None:
        self.dues.append(due)
        self.event.set()
        if self.failing:
            raise StorageError("The disk is full.")

    def troubled(self, due: Due, error: HivekeepError) -> None:
        self.troubles.append(error.what)

    def open(self, folder: Path) -> Schedules:
        return Schedules(folder / "schedules.db", self.fire, troubled=self.troubled)


def set_back(folder: Path, by: timedelta) -> None:
    """As if the schedule should have fired ``by`` ago while nothing ran."""
    engine = create_engine(f"sqlite:///{folder / 'schedules.db'}")
    with engine.begin() as connection:
        (state,) = connection.execute(text("SELECT job_state FROM apscheduler_jobs")).one()
        job = pickle.loads(state)
        job["next_run_time"] -= by
        connection.execute(
            text("UPDATE apscheduler_jobs SET next_run_time = :at, job_state = :state"),
            {"at": job["next_run_time"].timestamp(), "state": pickle.dumps(job)},
        )
    engine.dispose()


async def test_a_schedule_is_kept_and_knows_its_next_time(tmp_path: Path) -> None:
    fired = Fired()
    schedules = fired.open(tmp_path)
    assert schedules.list() == []
    assert not (tmp_path / "schedules.db").exists()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(schedules.run)
        await anyio.lowlevel.checkpoint()
        first = schedules.add(NIGHTLY)
        assert first is not None
        assert first > datetime.now(UTC)
        tasks.cancel_scope.cancel()
    again = fired.open(tmp_path)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(again.run)
        await anyio.lowlevel.checkpoint()
        assert again.list() == [(NIGHTLY, first)]
        assert again.remove("s1") == NIGHTLY
        with pytest.raises(NotFoundError):
            again.remove("s1")
        tasks.cancel_scope.cancel()
    assert fired.dues == []


@pytest.mark.parametrize("failing", [False, True])
async def test_missed_times_are_made_up_for_once(tmp_path: Path, failing: bool) -> None:
    fired = Fired(failing=failing)
    schedules = fired.open(tmp_path)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(schedules.run)
        await anyio.lowlevel.checkpoint()
        schedules.add(NIGHTLY)
        tasks.cancel_scope.cancel()
    set_back(tmp_path, timedelta(days=3))
    later = fired.open(tmp_path)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(later.run)
        with anyio.fail_after(60):
            await fired.event.wait()
        await anyio.wait_all_tasks_blocked()
        ((_, following),) = later.list()
        tasks.cancel_scope.cancel()
    (due,) = fired.dues
    assert due.schedule == NIGHTLY
    assert due.id.startswith("s1@")
    assert following is not None
    assert following > datetime.now(UTC)
    assert fired.troubles == (["The disk is full."] if failing else [])


@pytest.mark.parametrize("cron", ["", "every day", "0 25 * * *", "* * * *", "0 8 * * moonday"])
async def test_times_that_make_no_sense_are_refused(tmp_path: Path, cron: str) -> None:
    with pytest.raises(UsageError, match="no times"):
        Fired().open(tmp_path).add(Schedule("s1", cron, "invoices", ("/in",)))
