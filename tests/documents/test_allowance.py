"""A time limit counts the time in which this process runs."""

from __future__ import annotations

import time

import anyio
import pytest

from hivekeep.documents.allowance import Allowance

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_block_that_takes_too_long_is_cancelled() -> None:
    with Allowance(0.05, tick=0.02) as allowed:
        await anyio.sleep_forever()
    assert allowed.expired


async def test_a_block_that_ends_in_time_is_not() -> None:
    with Allowance(60) as allowed:
        await anyio.lowlevel.checkpoint()
    assert not allowed.expired
    assert 0 <= allowed.used < 60


async def test_time_in_which_the_whole_process_stood_still_counts_as_a_moment() -> None:
    with Allowance(1.0, tick=0.05) as allowed:
        # The event loop stands still, as it does when the machine sleeps.
        time.sleep(2.0)  # noqa: ASYNC251
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
    assert not allowed.expired
    assert allowed.left > 0.5


async def test_nothing_is_counted_during_a_pause() -> None:
    with Allowance(0.05, tick=0.02) as allowed:
        allowed.pause()
        await anyio.sleep(0.3)
        allowed.go_on()
    assert not allowed.expired
    assert allowed.left > 0


async def test_what_the_block_raises_comes_through() -> None:
    with pytest.raises(ValueError, match="as it is"), Allowance(60):
        raise ValueError("as it is")
