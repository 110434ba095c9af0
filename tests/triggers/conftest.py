from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.triggers.world import World


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.inventory.close()
