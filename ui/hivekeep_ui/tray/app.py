"""The tray's process: follows the daemon, keeps icon, menu and notifications true, starts windows.

Responsible for wiring and for the process's life; what is shown is ``model``'s.  Invariant: it
holds no state that the daemon does not have, so killing it loses nothing.
"""

from __future__ import annotations

import contextlib
import json
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
from hivekeep_ui.tray.appearance import Appearance
from hivekeep_ui.tray.icons import SIZES, draw
from hivekeep_ui.tray.model import (
    APPROVALS,
    FIRST,
    Entry,
    Notice,
    asks,
    look_of,
    menu_of,
    notices_of,
    tooltip_of,
    unreachable,
)
from hivekeep_ui.tray.notify import Notifier
from hivekeep_ui.tray.screenshot import NoScreenshotError, place_for, take
from hivekeep_ui.tray.words import resolve, words
from hivekeep_ui.verbs import open_path
from hivekeep_ui.window.instance import Wish, hand_over

_WAIT_SECONDS = 20
_RETRY_SECONDS = 3.0
_PAUSE_SECONDS = 0.15  # a run's every step changes something


class NoTrayError(Exception):
    """This desktop shows no tray icons."""


@dataclass
class Tray:
    """The icon of one profile; ``run`` blocks until it is quit.

    :param trouble: why the daemon could not be started, if somebody tried.
    """

    daemon: DaemonClient
    profile: Path
    icon: Any = None
    notifier: Notifier | None = None
    appearance: Appearance | None = None
    trouble: str = ""
    overview: dict[str, Any] = field(default_factory=unreachable)
    watches: list[dict[str, Any]] = field(default_factory=list)
    _told: dict[str, Any] | None = None
    _quit: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.overview = unreachable(self.trouble)

    def run(self) -> None:
        """Show the icon and follow the daemon.

        :raises NoTrayError: if there is nothing to show it in.
        """
        self.icon = _new_icon()
        self.notifier = Notifier(self.act)
        self.appearance = Appearance(self._refresh)
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
        # Its own thread: pystray waits for this one when the icon is quit.
        threading.Thread(target=self._follow, name="follow", daemon=True).start()

    # Following

    def _follow(self) -> None:
        version = -1
        while not self._quit.is_set():
            before = self.overview
            try:
                target = f"/v1/events?since={version}&wait={_WAIT_SECONDS}"
                after = self.daemon.call("GET", target)
                version, self.trouble = after["version"], ""
                # First of all: somebody waits for the answer to what is asked.
                self._tell(after)
                watches = self.daemon.call("GET", "/v1/watches")["watches"]
            except (UnreachableError, RefusedError):
                after, version, watches = unreachable(self.trouble), -1, self.watches
                self._quit.wait(_RETRY_SECONDS)
            changed = _shown(before) != _shown(after) or watches != self.watches
            self.overview, self.watches = after, watches
            if changed:
                self._refresh()
            self._quit.wait(_PAUSE_SECONDS)

    def _refresh(self) -> None:
        language = self._language()
        dark = self.appearance is None or self.appearance.dark
        look = look_of(self.overview)
        images = [draw(look, size, dark=dark) for size in SIZES]
        self.icon.title = tooltip_of(self.overview, language)
        self.icon.menu = _menu(menu_of(self.overview, self.watches, language), self.act)
        if hasattr(self.icon, "look"):
            self.icon.look(images, attention=look.state in ("waiting", "problem"))
        self.icon.icon = images[-1]

    def _tell(self, after: dict[str, Any]) -> None:
        """Let come up what has changed since a person was told last."""
        if self.notifier is not None and not after["waiting"]:
            self.notifier.withdraw(APPROVALS)
        settings = SettingsFile(self.profile / "ui.json").load()
        if settings.silent(datetime.now()):  # noqa: DTZ005 - quiet hours are local time
            return  # and it is told when they end
        before, self._told = self._told or {**after, **FIRST}, after
        if settings.popup and asks(before, after):
            # Without naming one: what a person is reading stays where it is.
            self.act(("popup",))
        if settings.notifications:
            for notice in notices_of(before, after, self._language()):
                self._send(notice)

    def _send(self, notice: Notice) -> None:
        if self.notifier is not None:
            self.notifier.send(notice)

    def _language(self) -> str:
        return resolve(SettingsFile(self.profile / "ui.json").load().language)

    # Acting

    def act(self, action: tuple[str, ...]) -> None:
        """Begin what a menu line or a button says; a failure becomes a notification.

        It returns at once, whatever the daemon asks a person meanwhile.
        """
        threading.Thread(target=self._try, args=action, name=action[0], daemon=True).start()

    def _try(self, *action: str) -> None:
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
            case "start":
                self._start()
            case "quit":
                self._quit.set()
                self.icon.stop()

    def _show(self, wish: Wish) -> None:
        if hand_over(self.daemon.path, wish):
            return
        command = [sys.executable, "-m", "hivekeep_ui", "open", "--socket", self.daemon.path,
                   "--profile", os.fspath(self.profile), "--page", wish.page,
                   "--place", wish.place]  # fmt: skip
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603
        # Waited for, lest what is left of it stays in the table of processes.
        threading.Thread(target=process.wait, name="window", daemon=True).start()

    def _start(self) -> None:
        """Start the daemon; why it does not start is then what the icon says."""
        command = [sys.executable, "-m", "hivekeep.cli.main", "--profile",
                   os.fspath(self.profile), "daemon", "start", "--json"]  # fmt: skip
        done = subprocess.run(  # noqa: S603 - our own program
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            error = _error_of(done.stdout) or {"what": done.stderr.strip()}
            self.trouble = str(error.get("why") or error.get("what"))
            raise RefusedError(error)

    def _open(self, run: str, path: str, *, folder: bool) -> None:
        if path not in self.daemon.call("GET", f"/v1/runs/{run}")["deliverables"]:
            return
        chosen = Path(path).parent if folder else Path(path)
        say = words(self._language())
        if not chosen.exists():
            raise ValueError(say("notice.gone", name=path))
        try:
            open_path(chosen)
        except OSError as error:
            raise ValueError(say("notice.no_program", name=path, why=error)) from error

    def _deny(self, approval: str) -> None:
        item = self.daemon.call("GET", f"/v1/approvals/{approval}")
        body = {"answer": "deny", "digest": item["digest"], "via": "notification"}
        self.daemon.call("POST", f"/v1/approvals/{approval}/answer", body)

    def _run_watch(self, watch: str) -> None:
        chosen = next(one for one in self.watches if one["id"] == watch)
        body = {"recipe": chosen["recipe"], "paths": [chosen["folder"]],
                "output": chosen["output"]}  # fmt: skip
        run = self.daemon.call("POST", "/v1/runs", body, timeout=None)
        self._show(Wish("dashboard", f"run/{run['id']}"))

    def _drop_folder(self) -> None:
        settings = SettingsFile(self.profile / "ui.json").load()
        folder = Path.home() / Path(settings.drop_folder or "Hivekeep").expanduser()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not any(one["folder"] == os.fspath(folder) for one in self.watches):
            body = {"folder": os.fspath(folder), "recipe": settings.recipe}
            self.daemon.call("POST", "/v1/watches", body, timeout=None)
        open_path(folder)

    def _screenshot(self) -> None:
        folder = self.profile / "inbox"
        folder.mkdir(mode=0o700, exist_ok=True)
        path = place_for(folder, datetime.now())  # noqa: DTZ005 - a name in local time
        taken = False
        try:
            taken = take(path)
        except NoScreenshotError as error:
            say = words(self._language())
            raise ValueError(say("notice.no_screenshot", why=error)) from error
        finally:
            if not taken:
                path.unlink()
        if not taken:
            return
        body = {"recipe": SettingsFile(self.profile / "ui.json").load().recipe,
                "paths": [os.fspath(path)]}  # fmt: skip
        run = self.daemon.call("POST", "/v1/runs", body, timeout=None)
        self._show(Wish("dashboard", f"run/{run['id']}"))


def _shown(overview: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in overview.items() if key != "version"}


def _error_of(text: str) -> dict[str, Any]:
    """The error that a command has printed as JSON, or nothing."""
    try:
        found = json.loads(text)["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


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
