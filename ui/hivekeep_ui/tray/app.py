"""The tray's process: follows the daemon, keeps icon, menu and notifications true, starts windows.

Responsible for wiring and for the process's life; what is shown is ``model``'s.  Invariant: it
holds no state that the daemon does not have, so killing it loses nothing.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from hivekeep_ui.client import DaemonClient, RefusedError, UnreachableError
from hivekeep_ui.settings import SettingsFile
from hivekeep_ui.tray.icons import SIZES, draw
from hivekeep_ui.tray.model import (
    UNREACHABLE,
    Entry,
    Notice,
    look_of,
    menu_of,
    notices_of,
    tooltip_of,
)
from hivekeep_ui.tray.notify import Notifier
from hivekeep_ui.tray.words import resolve, words
from hivekeep_ui.verbs import open_path
from hivekeep_ui.window.app import Wish, hand_over

_WAIT_SECONDS = 60
_RETRY_SECONDS = 3.0


class NoTrayError(Exception):
    """This desktop shows no tray icons."""


@dataclass
class Tray:
    """The icon of one profile; ``run`` blocks until it is quit."""

    daemon: DaemonClient
    profile: Path
    icon: Any = None
    notifier: Notifier | None = None
    overview: dict[str, Any] = field(default_factory=lambda: dict(UNREACHABLE))
    watches: list[dict[str, Any]] = field(default_factory=list)
    _quit: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Show the icon and follow the daemon.

        :raises NoTrayError: if there is nothing to show it in.
        """
        self.icon = _new_icon()
        self.notifier = Notifier(self.act)
        self._refresh()
        try:
            self.icon.run(setup=self._setup)
        except RuntimeError:
            # GTK's backend hides a notification at its end and fails where no service shows any.
            if not self._quit.is_set():
                raise
        self._quit.set()

    def _setup(self, icon: Any) -> None:
        icon.visible = True
        self._follow()

    # Following

    def _follow(self) -> None:
        version = -1
        while not self._quit.is_set():
            before = self.overview
            try:
                target = f"/v1/events?since={version}&wait={_WAIT_SECONDS}"
                after = self.daemon.call("GET", target)
                version = after["version"]
                self.watches = self.daemon.call("GET", "/v1/watches")["watches"]
            except (UnreachableError, RefusedError):
                after, version = dict(UNREACHABLE), -1
                self._quit.wait(_RETRY_SECONDS)
            self.overview = after
            if _shown(before) != _shown(after):
                self._refresh()
            if before["state"] != "problem" or before["problems"] != UNREACHABLE["problems"]:
                self._tell(before, after)
            elif after["approvals"]:
                self._tell({**UNREACHABLE, "problems": []}, after)
            self._quit.wait(0.3)

    def _refresh(self) -> None:
        language = self._language()
        dark = _dark_panel()
        look = look_of(self.overview)
        images = [draw(look, size, dark=dark) for size in SIZES]
        self.icon.title = tooltip_of(self.overview, language)
        self.icon.menu = _menu(menu_of(self.overview, self.watches, language), self.act)
        if hasattr(self.icon, "look"):
            self.icon.look(images, attention=look.state in ("waiting", "problem"))
        self.icon.icon = images[-1]

    def _tell(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        settings = SettingsFile(self.profile / "ui.json").load()
        if settings.silent(datetime.now()):  # noqa: DTZ005 - quiet hours are local time
            return
        for notice in notices_of(before, after, self._language()):
            asks = notice.buttons and notice.buttons[0][0][0] == "popup"
            if asks and settings.popup:
                self.act(notice.buttons[0][0])
            self._send(notice)

    def _send(self, notice: Notice) -> None:
        if self.notifier is not None:
            self.notifier.send(notice)

    def _language(self) -> str:
        return resolve(SettingsFile(self.profile / "ui.json").load().language)

    # Acting

    def act(self, action: tuple[str, ...]) -> None:
        """Do what a menu line or a button says; a failure becomes a notification."""
        try:
            self._act(*action)
        except (UnreachableError, RefusedError, OSError, ValueError) as error:
            say = words(self._language())
            self._send(Notice(say("notice.failed"), str(error)))

    def _act(self, verb: str, *arguments: str) -> None:
        match verb:
            case "popup":
                self._show(Wish("popup", arguments[0] if arguments else ""))
            case "dashboard":
                self._show(Wish("dashboard", arguments[0]))
            case "files":
                self._show(Wish("dashboard", "home"))
            case "clipboard":
                self._show(Wish("dashboard", "home/clipboard"))
            case "screenshot":
                self._screenshot()
            case "drop_folder":
                self._drop_folder()
            case "run_watch":
                self._run_watch(arguments[0])
            case "pause":
                self.daemon.call("PUT", "/v1/pause", {"seconds": float(arguments[0])})
            case "open" | "open_folder":
                self._open(*arguments, folder=verb == "open_folder")
            case "deny":
                self._deny(arguments[0])
            case "quit":
                self._quit.set()
                self.icon.stop()

    def _show(self, wish: Wish) -> None:
        if hand_over(self.daemon.path, wish):
            return
        command = [sys.executable, "-m", "hivekeep_ui", "open", "--socket", self.daemon.path,
                   "--profile", os.fspath(self.profile), "--page", wish.page,
                   "--place", wish.place]  # fmt: skip
        subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603

    def _open(self, run: str, path: str, *, folder: bool) -> None:
        if path in self.daemon.call("GET", f"/v1/runs/{run}")["deliverables"]:
            open_path(Path(path).parent if folder else Path(path))

    def _deny(self, approval: str) -> None:
        item = self.daemon.call("GET", f"/v1/approvals/{approval}")
        body = {"answer": "deny", "digest": item["digest"], "via": "notification"}
        self.daemon.call("POST", f"/v1/approvals/{approval}/answer", body)

    def _run_watch(self, watch: str) -> None:
        chosen = next(one for one in self.watches if one["id"] == watch)
        body = {"recipe": chosen["recipe"], "paths": [chosen["folder"]],
                "output": chosen["output"]}  # fmt: skip
        run = self.daemon.call("POST", "/v1/runs", body)
        self._show(Wish("dashboard", f"run/{run['id']}"))

    def _drop_folder(self) -> None:
        settings = SettingsFile(self.profile / "ui.json")
        folder = Path(settings.load().drop_folder or Path.home() / "Hivekeep")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not any(one["folder"] == os.fspath(folder) for one in self.watches):
            body = {"folder": os.fspath(folder), "recipe": settings.load().recipe}
            self.daemon.call("POST", "/v1/watches", body)
        open_path(folder)

    def _screenshot(self) -> None:
        from PIL import ImageGrab

        folder = self.profile / "inbox"
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / f"screenshot-{datetime.now():%Y%m%d-%H%M%S}.png"  # noqa: DTZ005
        ImageGrab.grab().save(path)
        recipe = SettingsFile(self.profile / "ui.json").load().recipe
        run = self.daemon.call("POST", "/v1/runs", {"recipe": recipe, "paths": [os.fspath(path)]})
        self._show(Wish("dashboard", f"run/{run['id']}"))


def _shown(overview: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in overview.items() if key != "version"}


def _new_icon() -> Any:
    """The best icon that this desktop can show.

    :raises NoTrayError: if there is none.
    """
    if sys.platform.startswith("linux"):
        # pystray looks for GTK when it is imported; our own backend needs none of it.
        os.environ.setdefault("PYSTRAY_BACKEND", _gtk_or_dummy())
        from hivekeep_ui.tray import statusnotifier

        if statusnotifier.has_host():
            return statusnotifier.Icon("hivekeep")
        if os.environ["PYSTRAY_BACKEND"] == "dummy" or not _has_xembed_host():
            raise NoTrayError
    import pystray

    try:
        return pystray.Icon("hivekeep")
    except RuntimeError as error:  # GTK without a session bus
        raise NoTrayError from error


def _gtk_or_dummy() -> str:
    from importlib.util import find_spec

    return "gtk" if find_spec("gi") and os.environ.get("DISPLAY") else "dummy"


def _has_xembed_host() -> bool:
    """Whether a panel of the older kind owns the tray's selection on this screen."""
    from Xlib import error as xerror
    from Xlib.display import Display

    try:
        display = Display()
    except (xerror.DisplayError, OSError):
        return False
    with contextlib.closing(display):
        selection = display.intern_atom("_NET_SYSTEM_TRAY_S0")
        owner = display.get_selection_owner(selection)
        return bool(owner)


def _dark_panel() -> bool:
    """Whether the panel is dark, which most are; ``HIVEKEEP_TRAY`` says otherwise."""
    return os.environ.get("HIVEKEEP_TRAY", "dark") != "light"


def _menu(entries: tuple[Entry, ...], act: Callable[[tuple[str, ...]], None]) -> Any:
    from pystray import Menu, MenuItem

    def item(entry: Entry) -> Any:
        if entry.separator:
            return Menu.SEPARATOR
        if entry.items:
            return MenuItem(entry.text, Menu(*(item(one) for one in entry.items)))

        def chosen(_icon: Any = None, _item: Any = None) -> None:
            act(entry.action)

        return MenuItem(entry.text, chosen, enabled=entry.enabled, default=entry.default)

    return Menu(*(item(entry) for entry in entries))
