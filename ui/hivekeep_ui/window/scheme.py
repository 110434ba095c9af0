"""The ``hivekeep:`` scheme: pages and API answers inside the browser engine, without any port.

Responsible for carrying requests of the engine to the relay and answers back; not for what they
mean.  pywebview's own ways do not fit: its server opens a TCP port, and its bridge to Python builds
functions from strings, which the pages' content security policy forbids.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QObject, Signal, Slot
from PySide6.QtWebEngineCore import (
    QWebEngineUrlRequestJob,
    QWebEngineUrlScheme,
    QWebEngineUrlSchemeHandler,
)

from hivekeep_ui.relay import Relay, Reply, Request

SCHEME = b"hivekeep"
ORIGIN = "hivekeep://app"
_THREADS = 32  # some wait until a person has answered a question


def register() -> None:
    """Make the scheme known; must happen before the application object exists."""
    scheme = QWebEngineUrlScheme(SCHEME)
    scheme.setSyntax(QWebEngineUrlScheme.Syntax.Host)
    flag = QWebEngineUrlScheme.Flag
    scheme.setFlags(flag.SecureScheme | flag.CorsEnabled | flag.FetchApiAllowed)
    QWebEngineUrlScheme.registerScheme(scheme)


class SchemeHandler(QWebEngineUrlSchemeHandler):
    """Answers requests of one profile; blocking work happens in threads."""

    _answered = Signal(int, object)

    def __init__(self, relay: Relay, parent: QObject) -> None:
        super().__init__(parent)
        self._relay = relay
        self._jobs: dict[int, QWebEngineUrlRequestJob] = {}
        self._next = 0
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="relay")
        self._answered.connect(self._reply)

    def requestStarted(self, job: QWebEngineUrlRequestJob) -> None:  # noqa: N802 - Qt's name
        """Qt has a request."""
        origin = job.initiator()
        if not origin.isEmpty() and origin.scheme() != SCHEME.decode():
            job.fail(QWebEngineUrlRequestJob.Error.RequestDenied)
            return
        url, number = job.requestUrl(), self._next
        self._next += 1
        target = bytes(url.toEncoded().data()).decode("ascii").removeprefix(ORIGIN) or "/"
        request = Request(bytes(job.requestMethod().data()).decode("ascii"), target, _body(job))
        self._jobs[number] = job
        job.destroyed.connect(lambda: self._jobs.pop(number, None))
        self._threads.submit(self._work, number, request)

    def _work(self, number: int, request: Request) -> None:
        self._answered.emit(number, self._relay.handle(request))

    @Slot(int, object)
    def _reply(self, number: int, reply: Reply) -> None:
        job = self._jobs.pop(number, None)
        if job is None:
            return  # the page has gone meanwhile
        buffer = QBuffer(job)
        buffer.setData(QByteArray(reply.body))
        buffer.open(QIODevice.OpenModeFlag.ReadOnly)
        headers: dict[Any, Any] = {
            QByteArray(name.encode()): [QByteArray(value.encode())]
            for name, value in reply.headers.items()
        }
        job.setAdditionalResponseHeaders(headers)
        job.reply(QByteArray(reply.media_type.encode()), buffer)


def _body(job: QWebEngineUrlRequestJob) -> bytes:
    device = job.requestBody()
    if device is None:
        return b""
    device.open(QIODevice.OpenModeFlag.ReadOnly)
    return bytes(device.readAll().data())
