"""Serves the local API on a Unix socket that only the same user can reach.

Responsible for the socket, its permissions and the peer's identity; the routes are ``daemon.api``.
Invariant: a connection whose peer is another user is closed before a byte of it is parsed, and no
TCP port is opened.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from hivekeep.domain.errors import DaemonError


class OwnerOnlyProtocol(H11Protocol):
    """HTTP over a Unix socket, for the daemon's own user only."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Check the peer's credentials before anything is read."""
        peer = transport.get_extra_info("socket")
        if peer_uid(peer) != os.getuid():
            transport.abort()
            return
        super().connection_made(transport)


def peer_uid(peer: socket.socket) -> int | None:
    """The user id at the other end of a Unix socket, ``None`` where it cannot be known."""
    if sys.platform == "linux":
        size = struct.calcsize("3i")
        credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        _pid, uid, _gid = struct.unpack("3i", credentials)
        return int(uid)
    if sys.platform == "darwin":
        # LOCAL_PEERCRED (0x001) at SOL_LOCAL (0) gives struct xucred: version, uid, groups.
        credentials = peer.getsockopt(0, 1, 76)
        return int(struct.unpack("2i", credentials[:8])[1])
    return None


def bind(path: Path) -> socket.socket:
    """A listening socket at ``path``, mode 0600, in a folder of mode 0700.

    The caller holds the profile's lock, so a socket found at ``path`` is a dead daemon's.

    :raises DaemonError: if the place is not ours or cannot be used.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = path.parent.lstat()
        if (
            not stat.S_ISDIR(folder.st_mode)
            or folder.st_uid != os.getuid()
            or folder.st_mode & 0o077
        ):
            raise DaemonError(
                "The local API's folder is open to other users.",
                why=f"{path.parent} must be yours with mode 0700.",
                next_step=f"Run: chmod 700 '{path.parent}'",
            )
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        old_mask = os.umask(0o177)
        try:
            listener.bind(os.fspath(path))
        finally:
            os.umask(old_mask)
        listener.listen(64)
    except OSError as error:
        raise DaemonError(
            "The local API could not be opened.", why=f"{path}: {error.strerror}."
        ) from error
    return listener


class ApiServer(uvicorn.Server):
    """uvicorn without its signal handlers and without its clock.

    The daemon handles signals itself.  uvicorn's main loop wakes ten times a second to look for
    its exit flag, which an idle program in a tray must not do; this one waits.
    """

    def __init__(self, app: Starlette) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=OwnerOnlyProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                timeout_graceful_shutdown=2,
            )
        )
        self._stopping = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none: see the class."""
        yield

    async def main_loop(self) -> None:
        """Wait until ``stop``."""
        await self._stopping.wait()

    def stop(self) -> None:
        """Let ``run_on`` return once open requests had two seconds to end."""
        self.should_exit = True
        self._stopping.set()

    async def run_on(self, listener: socket.socket) -> None:
        """Serve until ``stop`` is called."""
        await self.serve([listener])
