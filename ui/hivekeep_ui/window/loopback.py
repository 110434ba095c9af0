"""The same pages on a loopback port, for browser tests only.

Responsible for showing the relay to a browser that has no scheme of ours; never started by the
tray or the window.  Invariant: every request needs the one-time token or the cookie it was
exchanged for, and a host name that is not the loopback address is refused (DNS rebinding).
"""

from __future__ import annotations

import hmac
import secrets
from contextlib import suppress
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from hivekeep_ui.relay import Relay, Reply, Request

_LARGEST_BODY = 210 * 1024**2


class TestServer(ThreadingHTTPServer):
    """A server for one browser; ``url`` works once."""

    __test__ = False
    daemon_threads = True

    def __init__(self, relay: Relay) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.relay = relay
        self.token = secrets.token_urlsafe(24)
        self.session = secrets.token_urlsafe(24)
        self.host = f"127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        """The address that lets a browser in."""
        return f"http://{self.host}/?token={self.token}"


class _Handler(BaseHTTPRequestHandler):
    server: TestServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Any method goes the same way."""
        self._serve()

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - the names that the base class looks for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""

    def handle(self) -> None:
        """Serve until the browser goes away, which it may do at any moment."""
        with suppress(ConnectionError):
            super().handle()

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(min(length, _LARGEST_BODY))
        if self.headers.get("Host") != self.server.host:
            self._send(Reply(421, "text/plain", b"Another host is meant."))
        elif self._exchange():
            return
        elif not self._known():
            self._send(Reply(403, "text/plain", b"The token is missing or used up."))
        else:
            self._send(self.server.relay.handle(Request(self.command, self.path, body)))

    def _exchange(self) -> bool:
        given = parse_qs(urlsplit(self.path).query).get("token", [""])[0]
        if not self.server.token or not hmac.compare_digest(given, self.server.token):
            return False
        self.server.token = ""
        cookie = f"session={self.server.session}; HttpOnly; SameSite=Strict; Path=/"
        self._send(Reply(303, "text/plain", b"", {"Location": "/index.html", "Set-Cookie": cookie}))
        return True

    def _known(self) -> bool:
        cookie = SimpleCookie(self.headers.get("Cookie", ""))
        given = cookie["session"].value if "session" in cookie else ""
        return hmac.compare_digest(given, self.server.session)

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", f"{reply.media_type}; charset=utf-8")
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)
