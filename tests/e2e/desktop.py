"""A virtual screen and the interface's processes on it, with the hands of a person."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from tests.e2e.panel import Panel
from tests.e2e.stage import Stage, wait_for

_FRAME = 60
_STEPS, _STEP_SECONDS = 20, "0.04"
HAS_SCREEN = all(shutil.which(name) for name in ("Xvfb", "openbox", "xdotool"))
SOURCE = "^drag source$"
SMALL = "smollm2-135m-instruct-q4_1"
RECIPE = f"""\
name: tiny
title: Tiny
version: "1"
description: The number of an invoice, by the smallest model.
instructions: You read invoices.
model: {SMALL}
max_tokens: 60
fields:
  - name: number
    type: identifier
    title: Number
    description: the invoice's number
    aliases: {{en: [invoice number, invoice no]}}
"""


def interface(
    stage: Stage, *arguments: str, env: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    """A process of the interface."""
    command = [
        sys.executable, "-m", "hivekeep_ui", *arguments, "--socket", str(stage.profile.socket),
        "--profile", str(stage.profile.root),
    ]  # fmt: skip
    whole = {**os.environ, "LANG": "C.UTF-8", **(env or {})}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=whole)


def settings(stage: Stage, **changes: Any) -> None:
    """What a person has chosen in the settings."""
    path = stage.profile.root / "ui.json"
    whole = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({"language": "en", "recipe": "tiny", **whole, **changes}))


class Screen:
    """A virtual screen with a window manager, a keyboard and a mouse."""

    def __init__(self, display: str) -> None:
        self.env = {"DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}

    def xdo(self, *arguments: str) -> str:
        """What xdotool says; empty if it finds nothing."""
        return self.ask("xdotool", *arguments)

    def ask(self, *command: str) -> str:
        """What a program of X says."""
        done = subprocess.run(
            command, env={**os.environ, **self.env}, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    def windows(self, name: str = ".*") -> list[str]:
        """Every window that is on the screen, menus included, by what its title matches."""
        return self.xdo("search", "--onlyvisible", "--name", name).splitlines()

    def focus(self, name: str, otherwise: str) -> str:
        """Wait for a window, give it the keyboard, and return its number."""
        found: list[str] = wait_for(lambda: self.windows(name), 120, otherwise)
        self.xdo("windowactivate", "--sync", found[-1])
        return found[-1]

    def place(self, name: str) -> tuple[int, int, int, int]:
        """Left, top, width and height of a window on the screen."""
        said = self.xdo("getwindowgeometry", "--shell", self.windows(name)[-1])
        found = dict(line.split("=") for line in said.splitlines())
        return int(found["X"]), int(found["Y"]), int(found["WIDTH"]), int(found["HEIGHT"])

    def move(self, name: str, left: int, top: int) -> None:
        """Put a window at a place."""
        window = self.windows(name)[-1]
        self.xdo("windowmove", window, str(left), str(top))

        def there() -> bool:
            found = self.place(name)
            return abs(found[0] - left) < _FRAME and abs(found[1] - top) < _FRAME

        wait_for(there, 30, f"{name} does not move")

    def drag(self, begin: tuple[int, int], end: tuple[int, int]) -> None:
        """Hold the button at ``begin`` and let it go at ``end``, as slowly as a hand moves."""
        steps = [
            tuple(one + (two - one) * step // _STEPS for one, two in zip(begin, end, strict=True))
            for step in range(_STEPS + 1)
        ]
        # On the spot as well: what is below is asked again at each motion whether it takes it.
        steps += [(end[0] + step % 2, end[1]) for step in range(_STEPS)]
        words = ["mousemove", str(begin[0]), str(begin[1]), "mousedown", "1"]
        for x, y in steps:
            words += ["mousemove", str(x), str(y), "sleep", _STEP_SECONDS]
        self.xdo(*words, "mouseup", "1")

    def key(self, *keys: str) -> None:
        """Press keys, one after the other."""
        self.xdo("key", "--clearmodifiers", *keys)

    def type(self, text: str) -> None:
        """Type a text and Return."""
        self.xdo("type", "--delay", "5", text)
        self.key("Return")


@contextmanager
def virtual_screen() -> Iterator[Screen]:
    """A screen of its own, gone afterwards."""
    read, write = os.pipe()
    xvfb = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1400x1000x24", "-nolisten", "tcp"],
        pass_fds=(write,), stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(write)
    with os.fdopen(read) as ready:
        screen = Screen(f":{ready.readline().strip()}")
    manager = subprocess.Popen(
        ["openbox"], env={**os.environ, **screen.env}, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(
            lambda: "window id" in screen.ask("xprop", "-root", "_NET_SUPPORTING_WM_CHECK"),
            60, "the window manager does not start",
        )  # fmt: skip
        yield screen
    finally:
        for process in (manager, xvfb):
            process.kill()
            process.wait()


@contextmanager
def drag_source(screen: Screen, path: Path) -> Iterator[None]:
    """A green window on the screen from which ``path`` can be dragged."""
    source = subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.drag_source", str(path)],
        env={**os.environ, **screen.env},
    )
    try:
        wait_for(lambda: screen.windows(SOURCE), 60, "nothing is on the screen")
        yield
    finally:
        source.kill()
        source.wait()


class Icon:
    """The tray's process of a profile, with its icon in ``panel``."""

    def __init__(self, stage: Stage, panel: Panel, env: dict[str, str] | None = None) -> None:
        self.panel = panel
        whole = {"DBUS_SESSION_BUS_ADDRESS": panel.address, **(env or {})}
        self.process = interface(stage, "tray", env=whole)
        self.item = panel.item()

    def shows(self, status: str, words: str) -> dict[str, Any]:
        """The icon's properties, once its status and a part of its title are these."""

        def look() -> dict[str, Any] | None:
            found = self.panel.properties(self.item)
            return found if found["Status"] == status and words in found["Title"] else None

        chosen: dict[str, Any] = wait_for(look, 90, f"the icon never shows {words!r}")
        return chosen

    def line(self, words: str) -> str:
        """The menu's line that begins with ``words``, once there is one."""

        def look() -> str | None:
            return next(
                (text for text in self.panel.menu(self.item) if text.startswith(words)), None
            )

        chosen: str = wait_for(look, 90, f"the menu never has {words!r}")
        return chosen

    def click(self, words: str) -> None:
        """Choose the line that begins with ``words``."""
        self.panel.click(self.item, self.line(words))

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


@contextmanager
def asking(stage: Stage) -> Iterator[None]:
    """The policy asks about everything meanwhile."""
    with policy(stage, approvals={"required_from": "low"}):
        yield


@contextmanager
def policy(stage: Stage, **sections: Any) -> Iterator[None]:
    """What the user's own policy says meanwhile."""
    stage.profile.policy.write_text(json.dumps(sections))
    try:
        yield
    finally:
        stage.profile.policy.unlink()


def window_processes(stage: Stage) -> list[psutil.Process]:
    """The processes of the window that belong to the profile, without Chromium's."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        ended = process.info["status"] == psutil.STATUS_ZOMBIE
        if "hivekeep_ui" in words and "open" in words and str(stage.profile.root) in words:
            found += [] if ended else [process]
    return found


def end_windows(stage: Stage) -> None:
    """Leave no window behind."""
    for process in window_processes(stage):
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    wait_for(lambda: not window_processes(stage), 60, "a window does not end")


def runs(stage: Stage) -> list[dict[str, Any]]:
    """Every run, newest first."""
    found: list[dict[str, Any]] = stage.client.get("/v1/runs")["runs"]
    return found


def run_of(stage: Stage, name: str) -> dict[str, Any]:
    """The run whose only document is called ``name``, once there is one."""

    def look() -> dict[str, Any] | None:
        for run in runs(stage):
            detail: dict[str, Any] = stage.client.get(f"/v1/runs/{run['id']}")
            if [Path(agent["path"]).name for agent in detail["agents"]] == [name]:
                return detail
        return None

    chosen: dict[str, Any] = wait_for(look, 120, f"no run over {name}: {runs(stage)}")
    return chosen


def finished(stage: Stage, run: str) -> dict[str, Any]:
    """The run when it has finished."""

    def look() -> dict[str, Any] | None:
        detail: dict[str, Any] = stage.client.get(f"/v1/runs/{run}")
        assert detail["state"] not in ("failed", "cancelled"), detail
        return detail if detail["state"] == "finished" else None

    chosen: dict[str, Any] = wait_for(look, 240, "the run does not finish")
    return chosen
