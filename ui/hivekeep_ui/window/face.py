"""One window of the process: pywebview with Qt, shown, hidden and shown again.

Responsible for a native window, its page and what the page may ask of it.  Invariant: it shows
nothing but pages of ours, whatever is dropped on it or followed in it, and a page whose renderer
dies comes back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hivekeep_ui.client import DaemonClient
from hivekeep_ui.relay import Relay
from hivekeep_ui.verbs import DesktopVerbs
from hivekeep_ui.window.instance import Wish

_MOST_CRASHES = 5  # of the renderer, until a person asks for the window again


@dataclass
class Face:
    """A window for the popup or for the dashboard.

    :param wish: what it shows first.
    :param hidden: called in the toolkit's thread after it was closed.
    """

    daemon_socket: str
    profile: Path
    wish: Wish
    hidden: Callable[[], None]
    ready: threading.Event = field(default_factory=threading.Event)
    _native: Any = None
    _window: Any = None
    _crashes: int = 0
    _kept: list[Any] = field(default_factory=list)

    def create(self, first: Face | None) -> None:
        """Make the window; ``ready`` is set when its page is on the way.

        :param first: a window that exists, whose toolkit runs in another thread than this; without
            one the toolkit has not begun.
        """
        import webview

        width, height = self.wish.size
        self._window = webview.create_window(
            "Hivekeep", html="<title>Hivekeep</title>", width=width, height=height,
            min_size=(360, 420), background_color="#f6f4ef",
        )  # fmt: skip
        self._window.events.closing += self._closing
        if first is None:
            self._window.events.before_show += self._install
        else:
            first.do(self._install)  # behind the making of the window in the same queue

    def do(self, work: Callable[[], None]) -> None:
        """Do ``work`` in the toolkit's thread."""
        self._native.create_window_trigger.emit(work)

    # What follows runs in the toolkit's thread, up to the next such line.

    @property
    def visible(self) -> bool:
        """Whether it is on the screen, be it as an icon in a panel."""
        return bool(self._native.isVisible())

    def fulfil(self, wish: Wish) -> None:
        """Show it with ``wish`` in front of other windows."""
        from PySide6.QtCore import QUrl

        from hivekeep_ui.window.scheme import ORIGIN

        self.wish, self._crashes = wish, 0
        url = QUrl(wish.url(ORIGIN))
        if url != self._native.webview.url():  # else it would be loaded anew
            self._native.webview.setUrl(url)
        self._native.showNormal()
        self._native.raise_()
        self._native.activateWindow()
        self._native.webview.setFocus()

    def _install(self) -> None:
        from PySide6.QtWebEngineCore import QWebEngineSettings

        from hivekeep_ui.window.scheme import SCHEME, SchemeHandler

        native = self._native = self._window.native
        page = native.webview.page()
        # Without pywebview's own scripts: the pages need none, and their policy forbids them.
        page.loadFinished.disconnect(native.on_load_finished)
        page.titleChanged.connect(native.setWindowTitle)
        page.navigationRequested.connect(_only_ours)
        page.renderProcessTerminated.connect(self._crashed)
        page.settings().setAttribute(QWebEngineSettings.WebAttribute.NavigateOnDropEnabled, False)
        verbs = DesktopVerbs(
            DaemonClient(self.daemon_socket), self.profile,
            window={"close": self._close, "choose": self._choose, "clipboard": self._clipboard},
        )  # fmt: skip
        handler = SchemeHandler(Relay(DaemonClient(self.daemon_socket), verbs.table()), native)
        native.profile.installUrlSchemeHandler(SCHEME, handler)
        self._kept.append(handler)
        self.fulfil(self.wish)
        self.ready.set()

    def _closing(self) -> bool:
        """Hide instead of ending, so that the next question is on the screen at once."""
        self._hide()
        return False

    def _hide(self) -> None:
        self._native.hide()
        self.hidden()

    def _crashed(self, *_how: object) -> None:
        from PySide6.QtCore import QTimer

        self._crashes += 1
        if self._crashes > _MOST_CRASHES:
            self._hide()
        else:
            # Not at once: Qt is still clearing up after the process that died.
            QTimer.singleShot(0, self._native, self._native.webview.reload)

    # What follows runs in the threads that answer the page.

    def _close(self) -> None:
        self.do(self._hide)

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

        self.do(look)
        done.wait(10)
        return found[0] if found else ("", b"")


def _only_ours(request: Any) -> None:
    """Refuse to go anywhere but to our pages; the empty page of the beginning is ``data:``."""
    if request.url().scheme() not in ("hivekeep", "data"):
        request.reject()


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
