"""The audit log's commands that work with the daemon stopped, on a profile with a passphrase."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.stage import Stage, started

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with started(tmp_path_factory.mktemp("audit")) as chosen:
        chosen.stop()
        yield chosen


def test_verify_needs_the_passphrase_and_says_how_to_give_it(stage: Stage) -> None:
    found = stage.cli("audit", "verify", unlock=True)
    assert found["ok"]
    assert found["records"] > 0
    error = stage.cli("audit", "verify", status=7)["error"]
    assert "passphrase" in error["what"]
    assert error["next"]


def test_a_changed_log_is_named_set_aside_and_begun_anew(stage: Stage) -> None:
    segment = next(Path(stage.profile.audit).rglob("*.log"))
    content = bytearray(segment.read_bytes())
    content[len(content.rstrip(b"\0")) // 2] ^= 1
    segment.write_bytes(content)
    found = stage.cli("audit", "verify", status=7, unlock=True)
    assert not found["ok"]
    assert segment.name in found["problems"][0]
    assert "does not verify" in stage.command("audit", "verify", unlock=True).stderr
    aside = Path(stage.cli("audit", "anchor", "--begin-anew", "--yes", unlock=True)["set_aside"])
    assert content in [path.read_bytes() for path in aside.rglob("*.log")]
    assert stage.cli("audit", "verify", unlock=True)["ok"]
