"""The window's process: the popup and the dashboard, each a window of its own, kept warm a while.

Responsible for the process's life and for which window fulfils a wish; what a window is, is
``face``'s.  Invariant: a question never takes the place of what a person has open, and a process
whose windows nobody has looked at for a while ends and gives its memory back.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hivekeep_ui.window.face import Face
from hivekeep_ui.window.instance import Wish, claim, take_over, wish_path

WARM_SECONDS = 90.0


def show(daemon_socket: str, profile: Path, wish: Wish, *, warm: float = WARM_SECONDS) -> None:
    """Show the window and return when it is gone for good, or another process shows it."""
    listener = claim(daemon_socket, wish)
    if listener is None:
        return
    if hasattr(os, "getuid") and os.getuid() == 0:
        # Chromium's sandbox refuses to run for root, which only test machines work as.
        os.environ.setdefault("QTWEBENGINE_DISABLE_SANDBOX", "1")
    _Windows(daemon_socket, profile, warm).run(listener, wish)


@dataclass
class _Windows:
    daemon_socket: str
    profile: Path
    warm: float
    _faces: dict[str, Face] = field(default_factory=dict)
    _timer: threading.Timer | None = None

    def run(self, listener: socket.socket, wish: Wish) -> None:
        import webview

        from hivekeep_ui.window import scheme, toolkit

        toolkit.load()
        scheme.register()
        first = self._open(wish, None)
        threading.Thread(target=self._obey, args=(listener, first), daemon=True).start()
        try:
            webview.start(gui="qt", icon=_icon(self.profile))
        finally:
            self._end()

    def _open(self, wish: Wish, first: Face | None) -> Face:
        face = Face(self.daemon_socket, self.profile, wish, self._hidden)
        self._faces[wish.page] = face
        face.create(first)
        return face

    def _obey(self, listener: socket.socket, first: Face) -> None:
        first.ready.wait()
        while True:
            peer, _ = listener.accept()
            with peer:
                wish = take_over(peer)
                if wish is None:
                    continue
                self._fulfil(wish, first)
                try:
                    peer.sendall(b"ok")
                except OSError:
                    continue  # who asked has gone; it is shown all the same

    def _fulfil(self, wish: Wish, first: Face) -> None:
        face = self._faces.get(wish.page)
        if face is None:
            first.do(self._stay)
            self._open(wish, first).ready.wait()
            return
        done = threading.Event()

        def work() -> None:
            self._stay()
            face.fulfil(wish)
            done.set()

        first.do(work)
        done.wait()

    # What follows runs in the toolkit's thread.

    def _hidden(self) -> None:
        """A window was closed: end some time after the last one."""
        self._stay()
        if any(face.visible for face in self._faces.values()):
            return
        timer = threading.Timer(self.warm, lambda: self._on_gui(lambda: self._expired(timer)))
        timer.daemon = True
        self._timer = timer
        timer.start()

    def _on_gui(self, work: Callable[[], None]) -> None:
        next(iter(self._faces.values())).do(work)

    def _stay(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expired(self, timer: threading.Timer) -> None:
        if timer is self._timer:  # else a wish came first
            self._end()

    def _end(self) -> None:
        wish_path(self.daemon_socket).unlink(missing_ok=True)
        # Threads may wait for the daemon's next event; there is nothing to save here.
        sys.stdout.flush()
        os._exit(0)


def _icon(profile: Path) -> str:
    """The window's icon as a file, which is what pywebview wants."""
    path = profile / "icon.png"
    if not path.exists():
        from hivekeep_ui.tray.icons import Look, draw

        draw(Look("idle"), 128, dark=False).save(path)
    return os.fspath(path)
