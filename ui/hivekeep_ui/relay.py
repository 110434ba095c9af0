"""Answers the pages: files of ours, the daemon's API, and a few things of the desktop.

Responsible for what a page may ask for, in the window and in browser tests alike; it decides
nothing about approvals or runs.  Invariant: every reply carries the content security policy, and a
page reaches nothing but this package's files, ``/v1`` of the daemon and ``/ui``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from hivekeep_ui.client import DaemonClient, RefusedError, UnreachableError

PAGES = Path(__file__).with_name("pages")
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}


@dataclass(frozen=True, slots=True)
class Request:
    """What a page asks for. ``target`` is a path with an optional query."""

    method: str
    target: str
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """What it gets."""

    status: int
    media_type: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


LocalVerb = Callable[[Request], Any]


class Relay:
    """The answers for one window.

    :param verbs: what ``/ui/NAME`` does, by name; each gets the request and returns JSON-safe data,
        or raises ``ValueError`` with a sentence for the person.
    """

    def __init__(self, daemon: DaemonClient, verbs: dict[str, LocalVerb]) -> None:
        self._daemon, self._verbs = daemon, verbs

    def handle(self, request: Request) -> Reply:
        """The answer to one request; never raises."""
        path = unquote(urlsplit(request.target).path)
        if path.startswith("/v1/"):
            return self._forward(request)
        if path.startswith("/ui/"):
            return self._local(path.removeprefix("/ui/"), request)
        return self._page(path)

    def _forward(self, request: Request) -> Reply:
        try:
            # What changes something may first be asked about.
            patience = {} if request.method == "GET" else {"timeout": None}
            answer = self._daemon.request(request.method, request.target, request.body, **patience)
        except UnreachableError as error:
            return _problem(503, "daemon", "The daemon does not answer.", str(error))
        return _reply(answer.status, answer.media_type, answer.body)

    def _local(self, name: str, request: Request) -> Reply:
        verb = self._verbs.get(name)
        if verb is None:
            return _problem(404, "not_found", "There is nothing of that name.", name)
        try:
            return _json(200, verb(request))
        except RefusedError as error:
            return _json(403, {"error": error.error})
        except ValueError as error:
            return _problem(422, "usage", "That cannot be done.", str(error))
        except OSError as error:
            return _problem(500, "storage", "That did not work.", str(error))
        except UnreachableError as error:
            return _problem(503, "daemon", "The daemon does not answer.", str(error))

    def _page(self, path: str) -> Reply:
        name = path.lstrip("/") or "index.html"
        file = (PAGES / name).resolve()
        media_type = _TYPES.get(file.suffix)
        if media_type is None or not file.is_relative_to(PAGES.resolve()) or not file.is_file():
            return _problem(404, "not_found", "There is no such page.", name)
        return _reply(200, media_type, file.read_bytes())


def _reply(status: int, media_type: str, body: bytes) -> Reply:
    # A scheme of our own has no status line, so the pages read it from a header.
    return Reply(status, media_type, body, {**HEADERS, "X-Status": str(status)})


def _json(status: int, value: Any) -> Reply:
    return _reply(status, "application/json", json.dumps(value).encode())


def _problem(status: int, code: str, what: str, why: str) -> Reply:
    return _json(status, {"error": {"code": code, "what": what, "why": why, "next": ""}})
