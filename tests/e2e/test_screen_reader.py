"""The popup as a screen reader has it: read in order through AT-SPI, answered through it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.desktop import HAS_SCREEN, Screen, asking, end_windows, interface
from tests.e2e.panel import Panel
from tests.e2e.stage import Stage, started, wait_for
from tests.e2e.test_approvals import ask, pending

LAUNCHER = Path("/usr/libexec/at-spi-bus-launcher")
PYTHON = "/usr/bin/python3"
READER = Path(__file__).with_name("screen_reader.py")


def has_bindings() -> bool:
    """Whether the system's Python can speak to the accessibility bus."""
    look = "import gi; gi.require_version('Atspi', '2.0'); from gi.repository import Atspi"
    try:
        return not subprocess.run([PYTHON, "-c", look], capture_output=True, check=False).returncode
    except OSError:
        return False


pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not (HAS_SCREEN and LAUNCHER.exists() and has_bindings()),
        reason="there is no virtual screen or no AT-SPI",
    ),
]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    quiet = {"language": "en", "popup": False, "welcomed": True}
    with started(tmp_path_factory.mktemp("reader"), interface=quiet) as chosen:
        yield chosen


@pytest.fixture
def env(stage: Stage, screen: Screen, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A session in which a screen reader is on."""
    session = Panel()
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    chosen = {
        **screen.env, "DBUS_SESSION_BUS_ADDRESS": session.address,
        "XDG_RUNTIME_DIR": str(runtime),
    }  # fmt: skip
    command = [str(LAUNCHER), "--launch-immediately", "--a11y=1", "--screen-reader=1"]
    launcher = subprocess.Popen(command, env={**os.environ, **chosen}, stderr=subprocess.DEVNULL)
    try:
        yield chosen
    finally:
        end_windows(stage)
        launcher.terminate()
        launcher.wait()
        session.close()


def reader(env: dict[str, str], *button: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PYTHON, str(READER), *button], env={**os.environ, **env}, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip


def heard(env: dict[str, str]) -> list[tuple[str, str]]:
    """Everything that has a name, in reading order."""
    said = reader(env).stdout
    return [(role, name) for role, name in json.loads(said)] if said else []


def test_the_popup_is_read_and_answered_without_seeing_it(
    stage: Stage, screen: Screen, env: dict[str, str], tmp_path: Path
) -> None:
    with asking(stage):
        asked, item = ask(stage, tmp_path / "refused")
        interface(stage, "open", "--page", "popup", env=env)
        screen.focus("^Approval needed", "no popup")
        wait_for(lambda: ("push button", "Deny") in heard(env), 120, "there is no button to hear")
        said = heard(env)
        what = f'Watch the folder "{tmp_path / "refused"}"'
        assert ("document web", "Approval needed · Hivekeep") in said
        assert ("heading", what) in said
        # Said aloud as soon as it comes up, with the risk.
        assert ("label", f"Needs your answer: {what}. Low risk.") in said
        assert said.index(("heading", what)) < said.index(("heading", "Why you are asked"))
        assert said.index(("heading", "Why you are asked")) < said.index(("push button", "Deny"))
        assert ("push button", "Approve once") in said
        assert not [role for role, name in said if role == "push button" and not name]

        def press() -> bool:
            reader(env, "Deny")
            return pending(stage) == []

        wait_for(press, 30, "the button does nothing")
        asked.join(60)
        assert asked.error is not None
        answered = stage.client.get(f"/v1/approvals/{item['id']}")
        assert (answered["state"], answered["verdict"]["via"]) == ("denied", "popup")
