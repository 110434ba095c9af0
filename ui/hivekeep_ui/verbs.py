"""What the pages can ask of the desktop itself, under ``/ui``.

Responsible for settings, files that were dropped or pasted, opening results, and commands that run
outside the daemon.  Invariant: only a path that the daemon lists as a result of a run is opened,
and a file that came in gets a new folder of its own.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from hivekeep_ui.client import DaemonClient, RefusedError
from hivekeep_ui.pulls import Pulls
from hivekeep_ui.relay import LocalVerb, Request
from hivekeep_ui.settings import SettingsFile

LARGEST_UPLOAD = 200 * 1024**2
_OPENER_SECONDS = 3.0  # one that finds no program says so sooner


class DesktopVerbs:
    """The verbs of one profile.

    :param profile: its folder.
    :param window: what closing, resizing and choosing files do; absent in browser tests.
    """

    def __init__(
        self,
        daemon: DaemonClient,
        profile: Path,
        *,
        window: dict[str, Callable[..., Any]] | None = None,
    ) -> None:
        self._daemon, self._profile = daemon, profile
        self._settings = SettingsFile(profile / "ui.json")
        self._window = window or {}
        self._pulls = Pulls(self._program())

    def table(self) -> dict[str, LocalVerb]:
        """Every verb by its name."""
        return {
            "settings": self._edit_settings,
            "upload": self._upload,
            "open": self._open,
            "doctor": self._doctor,
            "choose": self._choose,
            "clipboard": self._clipboard,
            "close": self._close,
            "environment": self._environment,
            "pull": self._pull,
            "pulls": lambda _request: {"pulls": self._pulls.states()},
            "shown": self._shown,
        }

    def _environment(self, _request: Request) -> dict[str, Any]:
        return {
            "settings": asdict(self._settings.load()),
            "window": bool(self._window),
            "home": str(Path.home()),
        }

    def _edit_settings(self, request: Request) -> dict[str, Any]:
        if request.method == "PUT":
            changes = json.loads(request.body or b"{}")
            if not isinstance(changes, dict):
                raise ValueError("settings are an object")
            return asdict(self._settings.save(changes))
        return asdict(self._settings.load())

    def _upload(self, request: Request) -> dict[str, str]:
        if len(request.body) > LARGEST_UPLOAD:
            raise ValueError(f"at most {LARGEST_UPLOAD // 1024**2} MB")
        query = parse_qs(urlsplit(request.target).query)
        name = file_name(query.get("name", [""])[0])
        folder = self._profile / "inbox" / secrets.token_hex(8)
        folder.mkdir(mode=0o700, parents=True)
        path = folder / name
        path.write_bytes(request.body)
        return {"path": str(path), "name": name}

    def _open(self, request: Request) -> dict[str, bool]:
        wanted = json.loads(request.body or b"{}")
        path, run = str(wanted.get("path", "")), str(wanted.get("run", ""))
        try:
            listed = self._daemon.call("GET", f"/v1/runs/{run}")["deliverables"]
        except RefusedError as error:
            raise ValueError(str(error)) from error
        if path not in listed:
            raise ValueError("that is not a result of this run")
        chosen = Path(path).parent if wanted.get("folder") else Path(path)
        if not chosen.exists():
            raise ValueError(f"{chosen} is no longer there")
        open_path(chosen)
        return {"opened": True}

    def _doctor(self, _request: Request) -> dict[str, Any]:
        return {"findings": self._command("doctor", "--json")}

    def _pull(self, request: Request) -> dict[str, Any]:
        name = str(json.loads(request.body or b"{}").get("name", ""))
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,99}", name):
            raise ValueError("that is not a model's name")
        self._pulls.start(name)
        return {"started": True}

    def _choose(self, request: Request) -> dict[str, Any]:
        choose = self._window.get("choose")
        if choose is None:
            raise ValueError("there is no window to choose in; type the path")
        folder = bool(json.loads(request.body or b"{}").get("folder"))
        return {"paths": choose(folder=folder)}

    def _clipboard(self, _request: Request) -> dict[str, Any]:
        paste = self._window.get("clipboard")
        if paste is None:
            raise ValueError("the clipboard can be read in the window only")
        self._daemon.call("POST", "/v1/desktop/clipboard")  # policy may forbid it
        name, data = paste()
        if not data:
            raise ValueError("the clipboard holds neither text nor a picture")
        return self._upload(Request("PUT", f"/ui/upload?name={name}", data))

    def _close(self, _request: Request) -> dict[str, bool]:
        close = self._window.get("close")
        if close is not None:
            close()
        return {"closed": close is not None}

    def _shown(self, request: Request) -> dict[str, bool]:
        """A question is on the screen: noted for whoever measures how long that took."""
        notes = os.environ.get("HIVEKEEP_UI_SHOWN")
        if notes:
            with Path(notes).open("a", encoding="utf-8") as file:
                file.write(json.dumps({**json.loads(request.body), "at": time.time()}) + "\n")
        return {"noted": bool(notes)}

    def _command(self, *arguments: str) -> Any:
        done = subprocess.run(  # noqa: S603 - our own program
            [*self._program(), *arguments], capture_output=True, timeout=110, check=False
        )
        return json.loads(done.stdout)

    def _program(self) -> list[str]:
        return [sys.executable, "-m", "hivekeep.cli.main", "--profile", str(self._profile)]


def file_name(name: str) -> str:
    """A harmless file name out of what a page or the clipboard calls a file."""
    kept = "".join(char for char in Path(name.replace("\\", "/")).name if char.isprintable())
    return kept.strip(". ")[:150] or "document"


def open_path(path: Path) -> None:
    """Open a file or folder as a double click would.

    :raises OSError: if there is no program for it.
    """
    if sys.platform == "win32":
        os.startfile(path)  # noqa: S606 - what a double click does
        return
    opener = "open" if sys.platform == "darwin" else "xdg-open"
    process = subprocess.Popen(  # noqa: S603 - a fixed program and one path
        [opener, os.fspath(path)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        status = process.wait(_OPENER_SECONDS)
    except subprocess.TimeoutExpired:
        # It stays as long as the program that it has started; somebody has to collect its status.
        threading.Thread(target=process.wait, name="opener", daemon=True).start()
        return
    if status:
        raise OSError(f"{opener} ended with status {status}")
