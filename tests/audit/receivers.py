"""Servers on the loopback that keep what they get: syslog after RFC 6587 and RFC 5426, HTTP."""

from __future__ import annotations

import json
import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# RFC 5424, 6: HEADER SP STRUCTURED-DATA SP BOM MSG-UTF8.
_PRINTABLE = r"[!-~]"
_PARAM = r' [^ =\]"]{1,32}="(?:[^"\\\]]|\\.)*"'
_MESSAGE = re.compile(
    rf"<(?P<priority>\d{{1,3}})>1 (?P<time>\S+) (?P<host>{_PRINTABLE}{{1,255}}) "
    rf"(?P<app>{_PRINTABLE}{{1,48}}) (?P<process>{_PRINTABLE}{{1,128}}) "
    rf"(?P<kind>{_PRINTABLE}{{1,32}}) "
    rf'(?P<data>-|(?:\[[^ =\]"]{{1,32}}(?:{_PARAM})*\])+) \ufeff(?P<said>.*)',
    re.DOTALL,
)


def parse_message(raw: bytes) -> dict[str, str]:
    """The parts of a syslog message; fails if it is none after RFC 5424."""
    match = _MESSAGE.fullmatch(raw.decode("utf-8"))
    assert match, raw
    assert int(match["priority"]) <= 191
    assert datetime.fromisoformat(match["time"]).tzinfo is not None
    return match.groupdict()


def parameters(data: str) -> dict[str, str]:
    """The parameters of structured data, unescaped."""
    found = re.findall(r' ([^ =\]"]+)="((?:[^"\\\]]|\\.)*)"', data, re.DOTALL)
    return {name: re.sub(r'\\(["\\\]])', r"\1", value) for name, value in found}


@contextmanager
def syslog(kind: str, port: int = 0) -> Iterator[tuple[int, list[bytes]]]:
    """A syslog server; gives its port and the messages that came."""
    got: list[bytes] = []

    class Datagrams(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            got.append(self.request[0])

    class Streams(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while digits := b"".join(iter(lambda: self.rfile.read(1).strip(), b"")):
                message = self.rfile.read(int(digits))
                if len(message) == int(digits):
                    got.append(message)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True

    class DatagramServer(socketserver.UDPServer):
        max_packet_size = 65_536

    server: socketserver.BaseServer
    if kind == "udp":
        server = DatagramServer(("127.0.0.1", port), Datagrams)
    else:
        server = Server(("127.0.0.1", port), Streams)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1], got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def collector(port: int = 0) -> Iterator[tuple[int, list[tuple[str, str, bytes]]]]:
    """An HTTP server; gives its port, and path, content type and body of what was posted."""
    got: list[tuple[str, str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, self.headers["Content-Type"], body))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port, got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def collected(got: list[tuple[str, str, bytes]]) -> list[dict[str, Any]]:
    """The log records of OTLP requests; fails if one is not as the specification says."""
    records: list[dict[str, Any]] = []
    for path, kind, body in list(got):
        assert (path, kind) == ("/v1/logs", "application/json")
        said = json.loads(body)
        assert set(said) == {"resourceLogs"}
        for resource in said["resourceLogs"]:
            assert set(resource) == {"resource", "scopeLogs"}
            for scope in resource["scopeLogs"]:
                assert set(scope) == {"scope", "logRecords"}
                records += scope["logRecords"]
    return records
