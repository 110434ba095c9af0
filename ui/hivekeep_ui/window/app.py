"""The window's process: pywebview with Qt, one window, kept warm for a while after it is closed.

Responsible for the window's life and for one instance per profile; the pages are ``pages``.
Invariant: a second start hands its wish to the first and ends, and a window that nobody has looked
at for a while ends its process and gives its memory back.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hivekeep_ui.client import DaemonClient
from hivekeep_ui.relay import Relay
from hivekeep_ui.verbs import DesktopVerbs

WARM_SECONDS = 90.0
_POPUP = (540, 700)
_DASHBOARD = (1200, 800)
_LONGEST_WISH = 4096


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be shown: ``popup`` or ``dashboard``, and a place on it such as ``run/ID``."""

    page: str = "dashboard"
    place: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in logical pixels."""
        return _POPUP if self.page == "popup" else _DASHBOARD

    def url(self, origin: str) -> str:
        """The address of the page."""
        file = "popup.html" if self.page == "popup" else "index.html"
        return f"{origin}/{file}#{quote(self.place, safe='/')}"


def wish_path(daemon_socket: str) -> Path:
    """Where a running window listens, beside the daemon's socket."""
    return Path(daemon_socket).with_name("window.sock")


def hand_over(daemon_socket: str, wish: Wish) -> bool:
    """Let a running window fulfil the wish; false if there is none."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.settimeout(5)
            peer.connect(os.fspath(wish_path(daemon_socket)))
            peer.sendall(json.dumps({"page": wish.page, "place": wish.place}).encode() + b"\n")
            return peer.recv(2) == b"ok"
    except OSError:
        return False


def show(daemon_socket: str, profile: Path, wish: Wish, *, warm: float = WARM_SECONDS) -> None:
    """Show the window and return when it is gone for good."""
    if hand_over(daemon_socket, wish):
        return
    if hasattr(os, "getuid") and os.getuid() == 0:
        # Chromium's sandbox refuses to run for root, which only test machines work as.
        os.environ.setdefault("QTWEBENGINE_DISABLE_SANDBOX", "1")
    _Window(daemon_socket, profile, wish, warm).run()


@dataclass
class _Window:
    daemon_socket: str
    profile: Path
    wish: Wish
    warm: float
    _timer: threading.Timer | None = None
    _native: Any = None
    _kept: list[Any] = field(default_factory=list)

    def run(self) -> None:
        import webview

        from hivekeep_ui.window import scheme

        scheme.register()
        width, height = self.wish.size
        window = webview.create_window(
            "Hivekeep", html="<title>Hivekeep</title>", width=width, height=height,
            min_size=(360, 420), background_color="#f6f4ef",
        )  # fmt: skip
        assert window is not None  # only on systems that have no windows
        self._window = window
        self._window.events.before_show += self._install
        self._window.events.closing += self._closing
        listener = _listen(wish_path(self.daemon_socket))
        threading.Thread(target=self._obey, args=(listener,), daemon=True).start()
        try:
            webview.start(gui="qt", icon=_icon(self.profile))
        finally:
            wish_path(self.daemon_socket).unlink(missing_ok=True)
            # Threads may wait for the daemon's next event; there is nothing to save here.
            sys.stdout.flush()
            os._exit(0)

    def _on_gui(self, work: Callable[[], None]) -> None:
        self._native.create_window_trigger.emit(work)

    def _install(self) -> None:
        self._native = self._window.native
        self._on_gui(self._prepare)

    def _prepare(self) -> None:
        from hivekeep_ui.window.scheme import SCHEME, SchemeHandler

        native = self._native
        # Without pywebview's own scripts: the pages need none, and their policy forbids them.
        native.webview.page().loadFinished.disconnect(native.on_load_finished)
        verbs = DesktopVerbs(
            DaemonClient(self.daemon_socket), self.profile,
            window={
                "close": self._hide_soon, "choose": self._choose, "clipboard": self._clipboard,
            },
        )  # fmt: skip
        handler = SchemeHandler(Relay(DaemonClient(self.daemon_socket), verbs.table()), native)
        native.profile.installUrlSchemeHandler(SCHEME, handler)
        self._kept.append(handler)
        self._fulfil(self.wish, first=True)

    def _fulfil(self, wish: Wish, *, first: bool = False) -> None:
        from PySide6.QtCore import QUrl

        from hivekeep_ui.window.scheme import ORIGIN

        self._stay()
        native = self._native
        if not first:
            native.resize(*wish.size)
        native.webview.setUrl(QUrl(wish.url(ORIGIN)))
        native.showNormal()
        native.raise_()
        native.activateWindow()

    def _obey(self, listener: socket.socket) -> None:
        while True:
            peer, _ = listener.accept()
            with peer:
                peer.settimeout(5)
                try:
                    said = json.loads(peer.recv(_LONGEST_WISH))
                    wish = Wish(str(said["page"]), str(said["place"]))
                except (OSError, ValueError, KeyError, TypeError):
                    continue
                while self._native is None:
                    time.sleep(0.01)
                self._on_gui(lambda wish=wish: self._fulfil(wish))  # type: ignore[misc]
                peer.sendall(b"ok")

    def _closing(self) -> bool:
        """Hide instead of ending, so that the next question is on the screen at once."""
        self._hide_soon()
        return False

    def _hide_soon(self) -> None:
        self._on_gui(self._hide)

    def _hide(self) -> None:
        self._native.hide()
        self._stay()
        self._timer = threading.Timer(self.warm, self._end)
        self._timer.daemon = True
        self._timer.start()

    def _stay(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        wish_path(self.daemon_socket).unlink(missing_ok=True)
        os._exit(0)

    def _choose(self, *, folder: bool) -> list[str]:
        import webview

        kind = webview.FileDialog.FOLDER if folder else webview.FileDialog.OPEN
        chosen = self._window.create_file_dialog(kind, allow_multiple=not folder)
        return [str(path) for path in chosen or ()]

    def _clipboard(self) -> tuple[str, bytes]:
        """A name and the content of the clipboard; the content is empty if there is nothing."""
        found: list[tuple[str, bytes]] = []
        done = threading.Event()

        def look() -> None:
            try:
                found.append(_clipboard_content())
            finally:
                done.set()

        self._on_gui(look)
        done.wait(10)
        return found[0] if found else ("", b"")


def _clipboard_content() -> tuple[str, bytes]:
    from PySide6.QtCore import QBuffer, QIODevice
    from PySide6.QtGui import QGuiApplication

    clipboard = QGuiApplication.clipboard()
    image = clipboard.image()
    if not image.isNull():
        buffer = QBuffer()
        buffer.open(QIODevice.OpenModeFlag.WriteOnly)
        image.save(buffer, "PNG")  # type: ignore[call-overload]
        return "clipboard.png", bytes(buffer.data().data())
    return "clipboard.txt", clipboard.text().encode()


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(os.fspath(path))
    path.chmod(0o600)
    listener.listen(8)
    return listener


def _icon(profile: Path) -> str:
    """The window's icon as a file, which is what pywebview wants."""
    from hivekeep_ui.tray.icons import Look, draw

    path = profile / "icon.png"
    draw(Look("idle"), 128, dark=False).save(path)
    return os.fspath(path)
