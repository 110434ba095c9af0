"""An OpenAI-compatible server on loopback that misbehaves as its script says."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Server(ThreadingHTTPServer):
    """An OpenAI-compatible server that misbehaves as its script says, then answers."""

    request_queue_size = 512
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[Callable[[Handler], None]] = []
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.lock = threading.Lock()
        self.now = self.most = 0
        self.gate: threading.Barrier | None = None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with server.lock:
            server.bodies.append(body)
            server.keys.append(self.headers.get("authorization"))
            server.now += 1
            server.most = max(server.most, server.now)
            act = server.script.pop(0) if server.script else answers('{"a":1}')
        try:
            if server.gate is not None:
                with contextlib.suppress(threading.BrokenBarrierError):
                    server.gate.wait(30)
            act(self)
        finally:
            with server.lock:
                server.now -= 1

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""


def event(handler: Handler, data: object) -> None:
    text = data if isinstance(data, str) else json.dumps(data)
    chunk = f"data: {text}\n\n".encode()
    handler.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")


def begin(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("content-type", "text/event-stream")
    handler.send_header("transfer-encoding", "chunked")
    handler.end_headers()


def answers(text: str, *, cut: bool = False) -> Callable[[Handler], None]:
    def act(handler: Handler) -> None:
        begin(handler)
        for letter in text:
            logprobs = {"content": [{"token": letter, "logprob": -0.25}]}
            event(handler, {"choices": [{"delta": {"content": letter}, "logprobs": logprobs}]})
        if cut:
            handler.close_connection = True
            return
        event(handler, {"choices": [{"delta": {}, "finish_reason": "stop"}]})
        usage = {"prompt_tokens": 9, "completion_tokens": len(text)}
        event(handler, {"choices": [], "usage": usage})
        event(handler, "[DONE]")
        handler.wfile.write(b"0\r\n\r\n")

    return act


def fails(status: int, *, message: str = "no", **headers: str) -> Callable[[Handler], None]:
    def act(handler: Handler) -> None:
        data = json.dumps({"error": {"message": message}}).encode()
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("content-length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return act


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """A server while it is needed."""
    made = Server()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield made
    finally:
        made.shutdown()
        thread.join()
        made.server_close()
