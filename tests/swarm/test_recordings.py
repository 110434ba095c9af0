"""Recorded runs over our own samples, executed again: the deliverables have to be the same bytes.

After a change that is meant to alter results: ``hivekeep runs replay FILE --accept``.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hivekeep.domain.runs import RunState
from hivekeep.swarm.recording import load_recording
from hivekeep.swarm.replay import replay

pytestmark = pytest.mark.anyio
RECORDINGS = sorted((Path(__file__).parent.parent / "recordings").glob("*.jsonl.gz"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_there_are_recordings() -> None:
    assert RECORDINGS


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: re.sub(r"\..*", "", path.name))
async def test_a_recorded_run_gives_the_same_deliverables(path: Path) -> None:
    recording = load_recording(path)
    assert recording.record().state is RunState.FINISHED
    result = await replay(recording)
    assert not result.missing, "the code asks what the recording has no answer to; record it anew"
    differing = [file.suffix for file in result.files if not file.same]
    assert result.identical, f"{differing} differ; questions that changed: {result.changed}"
