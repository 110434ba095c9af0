"""Where records and checkpoints can be sent: syslog, OpenTelemetry, a web address, a folder.

Responsible for one message on one wire; what is sent when is ``forwarding``'s and ``witness``'s to
say, and whether at all is policy's.  Sources: RFC 5424 (messages), RFC 6587 (octet counting),
RFC 5425 (TLS), https://opentelemetry.io/docs/specs/otlp (HTTP with JSON).
"""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from hivekeep.audit.export import moment, refused
from hivekeep.audit.record import AuditRecord, plain, timestamp
from hivekeep.domain.errors import ConfigError

_TIMEOUT = 10.0
_FACILITY = 13  # log audit
_NOTICE, _WARNING = 5, 4
_ENTERPRISE = "hivekeep@32473"  # RFC 5612: the number for examples and documentation
_MAX_DATAGRAM = 60_000
_MAX_REPLY = 65_536


class DeliveryError(Exception):
    """It could not be delivered now; the message says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """One address of a policy.

    ``syslog+udp://``, ``syslog+tcp://`` or ``syslog+tls://HOST[:PORT]``, ``otlp+http(s)://HOST…``,
    ``http(s)://HOST…`` or ``file:///FOLDER``.
    """

    text: str
    url: SplitResult

    @classmethod
    def parse(cls, text: str, allowed: Sequence[str]) -> Target:
        """The target with this address.

        :param allowed: schemes that make sense here.
        :raises ConfigError: if it is none of them, or incomplete.
        """
        url = urlsplit(text)
        place = url.path if url.scheme == "file" else url.hostname
        if url.scheme not in allowed or not place or url.username is not None:
            raise ConfigError(
                f"'{text}' is no place that the audit log can be sent to.",
                why=f"Possible are: {', '.join(f'{scheme}://' for scheme in allowed)}.",
            )
        return cls(text, url)

    @property
    def name(self) -> str:
        """A short name that fits a file name."""
        return re.sub(r"[^A-Za-z0-9.-]+", "-", self.text)[:100]


SINKS = ("syslog+udp", "syslog+tcp", "syslog+tls", "otlp+http", "otlp+https")
WITNESSES = ("file", "http", "https", "syslog+udp", "syslog+tcp", "syslog+tls")


def send_records(target: Target, records: Sequence[AuditRecord], version: str) -> None:
    """Send records in order.

    :raises DeliveryError: if that failed; some of them may have arrived.
    """
    if target.url.scheme.startswith("otlp+"):
        body = json.dumps(otlp_logs(records, version)).encode()
        path = target.url.path.rstrip("/") + "/v1/logs"
        _post(target.url, target.url.scheme.removeprefix("otlp+"), path, body, "application/json")
        return
    _syslog(target.url, [syslog_message(record) for record in records])


def send_checkpoint(target: Target, note: str, log: str) -> None:
    """Hand a signed checkpoint to a witness.

    :raises DeliveryError: if that failed.
    """
    scheme = target.url.scheme
    if scheme == "file":
        _append(Path(target.url.path) / f"{log}.checkpoints", note)
    elif scheme.startswith("syslog+"):
        said = json.dumps({"checkpoint": note}, ensure_ascii=True)
        _syslog(target.url, [_message(_NOTICE, timestamp(time.time()), "checkpoint", "", said)])
    else:
        _post(target.url, scheme, target.url.path or "/", note.encode(), "text/plain")


def syslog_message(record: AuditRecord) -> bytes:
    """A record after RFC 5424, its JSON as the message."""
    severity = _WARNING if refused(record) else _NOTICE
    data = f'[{_ENTERPRISE} record="{record.sequence}" action="{_escape(record.action)}"]'
    said = json.dumps(plain(record), ensure_ascii=False, separators=(",", ":"))
    return _message(severity, moment(record), "audit", data, said)


def otlp_logs(records: Sequence[AuditRecord], version: str) -> dict[str, Any]:
    """Records as an OTLP ``ExportLogsServiceRequest`` in JSON."""
    made = [
        {
            "timeUnixNano": str(int(record.time * 1_000_000) * 1000),
            "severityNumber": 13 if refused(record) else 9,
            "severityText": "WARN" if refused(record) else "INFO",
            "body": {"stringValue": record.action},
            "attributes": [
                {"key": f"hivekeep.{name}", "value": {"stringValue": _as_text(value)}}
                for name, value in plain(record).items()
            ],
        }
        for record in records
    ]
    resource = [
        {"key": "service.name", "value": {"stringValue": "hivekeep"}},
        {"key": "service.version", "value": {"stringValue": version}},
        {"key": "host.name", "value": {"stringValue": socket.gethostname()}},
    ]
    scope = {"name": "hivekeep.audit"}
    return {
        "resourceLogs": [
            {
                "resource": {"attributes": resource},
                "scopeLogs": [{"scope": scope, "logRecords": made}],
            }
        ]
    }


def _message(severity: int, when: str, kind: str, data: str, said: str) -> bytes:
    host = re.sub(r"[^!-~]", "?", socket.gethostname())[:255] or "-"
    head = f"<{_FACILITY * 8 + severity}>1 {when} {host} hivekeep {os.getpid()} {kind}"
    return f"{head} {data or '-'} \ufeff{said}".encode("utf-8", "backslashreplace")


def _syslog(url: SplitResult, messages: Sequence[bytes]) -> None:
    how = url.scheme.removeprefix("syslog+")
    host, port = url.hostname or "", url.port or {"udp": 514, "tcp": 601, "tls": 6514}[how]
    try:
        if how == "udp":
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_DGRAM
            )[0]
            with socket.socket(family, kind, protocol) as sender:
                for message in messages:
                    sender.sendto(_shortened(message), address)
            return
        with socket.create_connection((host, port), timeout=_TIMEOUT) as plain_socket:
            data = b"".join(f"{len(m)} ".encode() + m for m in messages)
            if how == "tcp":
                plain_socket.sendall(data)
                plain_socket.shutdown(socket.SHUT_WR)
                return
            context = ssl.create_default_context()
            with context.wrap_socket(plain_socket, server_hostname=host) as secure:
                secure.sendall(data)
    except OSError as error:
        raise DeliveryError(f"{host}:{port}: {error.strerror or error}") from error


def _shortened(message: bytes) -> bytes:
    """What fits into a datagram, cut between characters."""
    return message[:_MAX_DATAGRAM].decode("utf-8", "ignore").encode()


def _post(url: SplitResult, scheme: str, path: str, body: bytes, kind: str) -> None:
    import http.client  # costs memory that a log without a collector does not need

    made = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    connection = made(url.hostname or "", url.port, timeout=_TIMEOUT)
    try:
        connection.request("POST", path, body, {"Content-Type": kind, "User-Agent": "hivekeep"})
        reply = connection.getresponse()
        said = reply.read(_MAX_REPLY)
    except (OSError, http.client.HTTPException) as error:
        raise DeliveryError(f"{url.hostname}: {error}") from error
    finally:
        connection.close()
    if reply.status >= 300:
        raise DeliveryError(f"{url.hostname} answered {reply.status} {reply.reason}")
    _refuse_partial(url, said)


def _refuse_partial(url: SplitResult, said: bytes) -> None:
    try:
        rejected = int(json.loads(said)["partialSuccess"]["rejectedLogRecords"])
    except (ValueError, KeyError, TypeError):
        return
    if rejected:
        raise DeliveryError(f"{url.hostname} rejected {rejected} record(s)")


def _append(path: Path, note: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, f"{note}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise DeliveryError(f"{path}: {error.strerror}") from error


def _escape(text: str) -> str:
    return re.sub(r'(["\\\]])', r"\\\1", text)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
