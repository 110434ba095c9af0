"""One window process for a profile: what is to be shown, and who shows it.

Responsible for wishes and for handing them to the process that runs; it knows no toolkit, so the
tray can use it.  Invariant: of two processes that start at the same moment one becomes the window
and the other hands its wish over, whatever the order.
"""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

_POPUP = (540, 700)
_DASHBOARD = (1200, 800)
_LONGEST_WISH = 4096
_ANSWER_SECONDS = 30.0


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
    """Let a running window fulfil the wish; false if there is none, or it ended meanwhile."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.settimeout(_ANSWER_SECONDS)
            peer.connect(os.fspath(wish_path(daemon_socket)))
            peer.sendall(json.dumps({"page": wish.page, "place": wish.place}).encode() + b"\n")
            return peer.recv(2) == b"ok"
    except OSError:
        return False


def take_over(peer: socket.socket) -> Wish | None:
    """The wish that ``peer`` hands over, if it is one."""
    peer.settimeout(5)
    try:
        said = json.loads(peer.recv(_LONGEST_WISH))
        return Wish("popup" if said["page"] == "popup" else "dashboard", str(said["place"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def claim(daemon_socket: str, wish: Wish) -> socket.socket | None:
    """Become the window; the socket at which wishes arrive, ``None`` if another fulfilled this one.

    The claim is held until the process ends, however it ends.
    """
    import fcntl  # not on Windows, where the tray still has to be able to import this module

    path = wish_path(daemon_socket)
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    while not hand_over(daemon_socket, wish):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)  # the other one is about to listen, or about to end
            continue
        return _listen(path)
    os.close(lock)
    return None


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(os.fspath(path))
    path.chmod(0o600)
    listener.listen(8)
    return listener
