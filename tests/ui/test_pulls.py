"""A download that was started from the window: told how it goes, and never started twice."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hivekeep_ui.pulls import Pulls

REFUSED = '{"error": {"what": "Not allowed.", "why": "Policy.", "next": "Ask."}}'


def program(folder: Path, ending: str) -> list[str]:
    """A command line that waits until it may end, and notes that it was started."""
    script = folder / "program.py"
    script.write_text(
        "import pathlib, sys, time\n"
        f"folder = pathlib.Path({str(folder)!r})\n"
        "with (folder / 'started').open('a') as file: file.write(' '.join(sys.argv[1:]) + '\\n')\n"
        "while not (folder / 'go').exists(): time.sleep(0.01)\n"
        f"{ending}\n"
    )
    return [sys.executable, str(script)]


@pytest.mark.parametrize(
    ("ending", "state", "what"),
    [
        ("", "done", ""),
        (f"print({REFUSED!r}); sys.exit(4)", "failed", "Not allowed."),
        ("sys.exit(9)", "failed", "The download ended before it was complete."),
    ],
)
def test_a_download_is_started_once_and_its_end_is_told(
    tmp_path: Path, ending: str, state: str, what: str
) -> None:
    pulls = Pulls(program(tmp_path, ending))
    assert pulls.states() == {}
    pulls.start("tiny")
    pulls.start("tiny")
    assert pulls.states()["tiny"]["state"] == "running"
    (tmp_path / "go").touch()
    pulls._started["tiny"][0].wait(60)
    told = pulls.states()["tiny"]
    assert told["state"] == state
    assert (told["error"] or {"what": ""})["what"] == what
    assert (tmp_path / "started").read_text() == "models pull tiny --yes --json\n"
