"""A real daemon in a profile of its own, driven as a user drives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hivekeep.cli.client import DaemonClient
from hivekeep.daemon.profile import Profile

PASSPHRASE = "correct horse battery"
_PAUSE_SECONDS = 0.05


class Stage:
    """Starts, kills and asks the daemon of one profile.

    :param launcher: a command to put before the daemon's own, for example ``unshare --net``.
    """

    def __init__(self, folder: Path, launcher: tuple[str, ...] = ()) -> None:
        self.profile = Profile.locate(folder / "profile")
        self.client = DaemonClient(self.profile)
        self._launcher = launcher
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The daemon's process."""
        return int(self.client.get("/v1/status")["pid"])

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.profile.create()
        descriptor = passphrase_fd()
        command = [
            *self._launcher, sys.executable, "-m", "hivekeep.daemon", "--profile",
            str(self.profile.root), "--passphrase-fd", str(descriptor),
        ]  # fmt: skip
        with (self.profile.logs / "daemon.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, pass_fds=(descriptor,), env=self._environment()
            )
        os.close(descriptor)
        wait_for(self._answers, 180, "the daemon does not answer")

    def kill(self) -> None:
        """End it without warning."""
        assert self._process is not None
        os.kill(self.pid, signal.SIGKILL)
        self._process.wait(timeout=20)

    def stop(self) -> int:
        """Let it end; its exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=30)

    def close(self) -> None:
        """Make sure nothing is left running."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def cli(self, *arguments: str, status: int | None = 0, unlock: bool = False) -> Any:
        """Run a command with ``--json`` and return what it printed."""
        done = self.command(*arguments, "--json", unlock=unlock)
        if status is not None:
            assert done.returncode == status, done.stdout + done.stderr
        return json.loads(done.stdout)

    def command(self, *arguments: str, unlock: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a command of the profile; with ``unlock`` it is given the passphrase."""
        given = (passphrase_fd(),) if unlock else ()
        command = [
            sys.executable, "-m", "hivekeep.cli.main", "--profile", str(self.profile.root),
            *arguments, *(f"--passphrase-fd={descriptor}" for descriptor in given),
        ]  # fmt: skip
        try:
            return subprocess.run(
                command, capture_output=True, text=True, timeout=280, env=self._environment(),
                check=False, pass_fds=given,
            )  # fmt: skip
        finally:
            for descriptor in given:
                os.close(descriptor)

    def log(self) -> str:
        """What the daemon has said."""
        return (self.profile.logs / "daemon.log").read_text(errors="replace")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        return self.client.running()

    def _environment(self) -> dict[str, str]:
        # Without a bus there is no OS keyring: the key file is used, as on a bare server.
        hidden = ("DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "HIVEKEEP_HOME", "DISPLAY")
        return {name: text for name, text in os.environ.items() if name not in hidden}


@contextmanager
def started(
    folder: Path,
    *,
    policy: Mapping[str, Any] | None = None,
    interface: Mapping[str, Any] | None = None,
    recipes: Mapping[str, str] | None = None,
) -> Iterator[Stage]:
    """A daemon in a new profile in ``folder``, gone afterwards.

    :param policy: the user's rules.
    :param interface: the interface's settings.
    :param recipes: texts of recipes by their names.
    """
    stage = Stage(folder)
    stage.profile.create()
    if policy is not None:
        stage.profile.policy.write_text(json.dumps(policy), encoding="utf-8")
    if interface is not None:
        (stage.profile.root / "ui.json").write_text(json.dumps(interface), encoding="utf-8")
    for name, text in (recipes or {}).items():
        (stage.profile.recipes / f"{name}.yaml").write_text(text, encoding="utf-8")
    try:
        stage.start()
        yield stage
    finally:
        stage.close()


def passphrase_fd() -> int:
    """A descriptor from which the passphrase can be read once."""
    read_end, write_end = os.pipe()
    os.write(write_end, PASSPHRASE.encode())
    os.close(write_end)
    return read_end


def wait_for(condition: Callable[[], Any], seconds: float, otherwise: str) -> Any:
    """The first true value of ``condition``, asked again and again until then.

    Only the pauses in between are counted, so that a machine that stands still, or takes long over
    the condition itself, uses up nothing.
    """
    for _ in range(int(seconds / _PAUSE_SECONDS)):
        if found := condition():
            return found
        time.sleep(_PAUSE_SECONDS)
    raise AssertionError(otherwise)
