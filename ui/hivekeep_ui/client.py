"""HTTP over the daemon's Unix socket, with the standard library only, to keep the tray small.

Responsible for one request at a time and for the errors of the connection; not for what is asked.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

_TIMEOUT_SECONDS = 120.0


class UnreachableError(Exception):
    """Nobody answers at the socket."""


class RefusedError(Exception):
    """The daemon said no; ``error`` is its explanation: ``what``, ``why`` and ``next``."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        self.error = dict(error)
        parts = [str(error.get(key) or "") for key in ("what", "why", "next")]
        super().__init__(" ".join(part for part in parts if part) or "The daemon refused.")


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply as it came."""

    status: int
    media_type: str
    body: bytes


class DaemonClient:
    """The daemon behind ``path``; safe to use from several threads."""

    def __init__(self, path: str) -> None:
        self.path = path

    def request(
        self, method: str, target: str, body: bytes = b"", *,
        timeout: float | None = _TIMEOUT_SECONDS,
    ) -> Answer:  # fmt: skip
        """One request.

        :param timeout: in seconds; ``None`` where the daemon may ask a person before it answers.
        :raises UnreachableError: if there is no answer.
        """
        connection = _UnixConnection(self.path, timeout)
        try:
            headers = {"Content-Type": "application/json"} if body else {}
            connection.request(method, target, body=body or None, headers=headers)
            response = connection.getresponse()
            media_type = response.headers.get_content_type()
            return Answer(response.status, media_type, response.read())
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(str(error)) from error
        finally:
            connection.close()

    def call(
        self, method: str, path: str, body: Any = None, *,
        timeout: float | None = _TIMEOUT_SECONDS, **query: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """A request with JSON in and out.

        :raises RefusedError: if the daemon refused.
        :raises UnreachableError: if there is no answer.
        """
        target = f"{path}?{urlencode(query)}" if query else path
        data = b"" if body is None else json.dumps(body).encode()
        answer = self.request(method, target, data, timeout=timeout)
        try:
            found: dict[str, Any] = json.loads(answer.body)
        except ValueError as error:
            raise UnreachableError(f"HTTP {answer.status}") from error
        if answer.status >= 400:
            raise RefusedError(found.get("error", {}))
        return found


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float | None) -> None:
        super().__init__("hivekeep", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
