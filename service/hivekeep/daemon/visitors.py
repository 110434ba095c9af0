"""Turns away requests that no client of ours would make.

Responsible for what the socket's permissions and the peer's credentials cannot see: a web page that
reaches the local API through some program of the user's (a proxy, a forwarded port, a browser that
learns to open Unix sockets).  Invariant: such a request is refused before any route sees it.

Host: DNS rebinding makes a page's own name lead here, so only our name is answered.  Origin and
Sec-Fetch-*: browsers send them, our clients do not, and pages cannot leave them out.  Content-Type:
what a form can send without asking first (CORS "simple requests") is not JSON.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hivekeep.domain.errors import ErrorCode

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOST = "hivekeep"
"""The one name that the local API answers to; it is never looked up."""
MOST_BODY = 16 * 1024 * 1024
"""Bytes of a request: ten thousand long paths fit into it."""
_BROWSER = (b"origin", b"referer", b"cookie", b"access-control-request-method")
_BROWSER_PREFIX = b"sec-"


class Visitors:
    """ASGI middleware that lets our own clients through."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse or pass on."""
        if scope["type"] != "http":
            return
        refusal = objection(scope["headers"])
        if refusal is not None:
            await _refuse(send, *refusal)
            return
        await self._app(scope, _bounded(receive), send)


def objection(headers: list[tuple[bytes, bytes]]) -> tuple[int, str] | None:
    """The status and the reason why a request with these headers is refused."""
    values: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        values.setdefault(name.lower(), []).append(value)
    if values.get(b"host") != [HOST.encode()]:
        return 421, "It is addressed to another name than the local API's."
    if any(name in _BROWSER or name.startswith(_BROWSER_PREFIX) for name in values):
        return 403, "It was made by a web page."
    kind = b",".join(values.get(b"content-type", [b"application/json"]))
    if kind.partition(b";")[0].strip().lower() != b"application/json":
        return 415, "Its body is not JSON."
    length = b",".join(values.get(b"content-length", [b"0"]))
    if not length.isdigit() or len(length) > 12 or int(length) > MOST_BODY:
        return 413, f"Its body is longer than {MOST_BODY} bytes."
    return None


def _bounded(receive: Receive) -> Receive:
    """A body without a stated length is cut off at the limit, which no JSON survives."""
    received = 0

    async def bounded() -> Message:
        nonlocal received
        message = await receive()
        if message["type"] == "http.request":
            received += len(message.get("body", b""))
            if received > MOST_BODY:
                return {"type": "http.disconnect"}
        return message

    return bounded


async def _refuse(send: Send, status: int, why: str) -> None:
    error = {
        "code": ErrorCode.USAGE.value,
        "what": "The request was refused.",
        "why": why,
        "next": "Use the command line or the tray; the local API is for them.",
    }
    body = json.dumps({"error": error, "exit": 2}).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close"),
               (b"content-length", str(len(body)).encode())]  # fmt: skip
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
