"""What the end-to-end tests see with: a screen, and the window's pages in a browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.e2e.desktop import Screen, virtual_screen
from tests.e2e.stage import Stage
from tests.e2e.test_desktop import Browser
from tests.e2e.window import window


@pytest.fixture(scope="module")
def screen() -> Iterator[Screen]:
    """A virtual screen for a module's tests."""
    with virtual_screen() as chosen:
        yield chosen


@pytest.fixture(scope="module")
def browser(stage: Stage) -> Iterator[Browser]:
    """The pages of the module's own daemon, which its fixture ``stage`` starts."""
    with window(stage) as opened:
        yield opened
