"""The local API answers anything with a result or with an error that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.daemon.api_fuzz import client_of, fuzz
from tests.e2e.stage import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    stage.start()
    yield stage
    stage.close()


@pytest.mark.e2e
def test_nothing_that_is_sent_breaks_it(stage: Stage) -> None:
    with client_of(str(stage.profile.socket)) as client:
        findings = fuzz(client, 4)
        assert findings.wrong == {}
        assert findings.sent > 50
        assert client.get("/v1/status").is_success
    assert "Traceback" not in stage.log()
