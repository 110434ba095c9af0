"""Records and checkpoints reach the places that policy names, and nothing is lost on the way."""

from __future__ import annotations

import csv
import io
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.audit.world import World

from hivekeep.audit import AuditEvent, AuditSettings, DataRef, ModelRef, records
from hivekeep.audit.delivery import SINKS, WITNESSES, DeliveryError, Target, send_records
from hivekeep.audit.export import FORMATS
from hivekeep.domain.errors import ConfigError
from hivekeep_verify.cli import main, split_notes


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "audit")


EVENT = AuditEvent(
    "agent-1", "file.write", subject='=cmd|"x"', rule="files.output_folders[0]", outcome="denied",
    user="anna", job="r1", agent="a1", arguments={"path": "/o|u=t\nx"}, approval="Write?\nYes",
    data=(DataRef("/in.pdf", "ab" * 32, "untrusted"),), model=ModelRef("qwen", "cd" * 32),
    result="nothing",
)  # fmt: skip


def written(world: World) -> list[Any]:
    log = world.open()
    log.append(EVENT)
    log.close()
    return records(world.folder, world.keys)


def until(holds: Callable[[], bool]) -> None:
    for _ in range(1_200):
        if holds():
            return
        threading.Event().wait(0.05)
    raise AssertionError("it did not happen")


def test_exports_are_what_their_readers_expect(world: World) -> None:
    found = written(world)
    (line,) = FORMATS["jsonl"](found, "1.0")
    assert json.loads(line)["approval"] == "Write?\nYes"
    text = "\n".join(FORMATS["csv"](found, "1.0"))
    header, row = csv.reader(io.StringIO(text, newline=""))
    cells = dict(zip(header, row, strict=True))
    assert cells["subject"] == '\'=cmd|"x"'
    assert json.loads(cells["arguments"]) == EVENT.arguments
    (event,) = map(json.loads, FORMATS["ocsf"](found, "1.0"))
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    assert (event["status_id"], event["actor"]["user"]["name"]) == (2, "anna")
    assert event["resources"][0]["uid"] == "ab" * 32
    (line,) = FORMATS["cef"](found, "1|0")
    parts = re.split(r"(?<!\\)\|", line)
    assert parts[:5] == ["CEF:0", "Hivekeep", "Hivekeep", "1\\|0", "file.write"]
    assert len(parts) == 8 + line.partition("|6|")[2].count("|")
    assert "cs3=Write?\\nYes" in line
    assert "\n" not in line


class Collector:
    """An HTTP server that keeps what is posted, and refuses while told to."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.paths: list[str] = []
        self.status = 200
        self.asked = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.asked += 1
                if outer.status == 200:
                    outer.bodies.append(body)
                    outer.paths.append(self.path)
                self.send_response(outer.status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_arguments: Any) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


def sequences(collector: Collector) -> list[int]:
    logs = [json.loads(body)["resourceLogs"][0]["scopeLogs"][0] for body in collector.bodies]
    found = []
    for log in logs:
        for record in log["logRecords"]:
            said = {a["key"]: a["value"]["stringValue"] for a in record["attributes"]}
            found.append(int(said["hivekeep.sequence"]))
    return found


def test_a_collector_gets_every_record_through_outages_and_restarts(
    world: World, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hivekeep.audit.forwarding._FIRST_WAIT", 0.05)
    monkeypatch.setattr("hivekeep.audit.forwarding._GATHERING", 0.01)
    sink = Target.parse(f"otlp+http://127.0.0.1:{collector.port}/x", SINKS)
    world.write(3)
    log = world.open(AuditSettings(sinks=(sink,)))
    until(lambda: len(sequences(collector)) == 3)
    assert set(collector.paths) == {"/x/v1/logs"}
    collector.status = 503
    for _ in range(4):
        log.append(EVENT)
    until(lambda: "503" in log.sink_states()[0].why)
    log.close()
    world.write(2)
    collector.status = 200
    log = world.open(AuditSettings(sinks=(sink,)))
    until(lambda: len(sequences(collector)) >= 9)
    until(lambda: log.sink_states()[0].why == "")
    log.close()
    assert sequences(collector) == list(range(1, 10))
    body = json.loads(collector.bodies[-1])["resourceLogs"][0]
    assert {a["key"] for a in body["resource"]["attributes"]} >= {"service.name", "host.name"}


@contextmanager
def listener(kind: str, context: ssl.SSLContext | None = None) -> Iterator[tuple[int, list[bytes]]]:
    """A syslog server; the list has all it got, once the client is gone."""
    got: list[bytes] = []
    udp = kind == "udp"
    server = socket.socket(type=socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
    server.bind(("127.0.0.1", 0))
    server.settimeout(30)

    def serve() -> None:
        if udp:
            got.append(server.recv(65_536))
            return
        client, _ = server.accept()
        stream = context.wrap_socket(client, server_side=True) if context else client
        with stream:
            data = b""
            while piece := stream.recv(65_536):
                data += piece
            got.append(data)

    if not udp:
        server.listen()
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server.getsockname()[1], got
    finally:
        thread.join()
        server.close()


MESSAGE = re.compile(
    rb"<(\d+)>1 (\S+) (\S+) hivekeep (\d+) audit (\[hivekeep@32473 .*?[^\\]\]) \xef\xbb\xbf(\{.*\})"
)


@pytest.mark.parametrize("kind", ["udp", "tcp", "tls"])
def test_syslog_messages_are_as_rfc_5424_says(
    kind: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = certificate(tmp_path, monkeypatch) if kind == "tls" else None
    found = written(world)
    with listener(kind, context) as (port, got):
        send_records(Target.parse(f"syslog+{kind}://localhost:{port}", SINKS), found, "1.0")
    (data,) = got
    if kind != "udp":
        length, _, data = data.partition(b" ")
        assert len(data) == int(length)
    match = MESSAGE.fullmatch(data)
    assert match
    assert int(match[1]) == 13 * 8 + 4
    assert datetime.fromisoformat(match[2].decode()).tzinfo is not None
    assert json.loads(match[6])["approval"] == "Write?\nYes"


def certificate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = folder / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(private + made.public_bytes(Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def test_a_server_that_is_not_trusted_gets_nothing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = certificate(tmp_path, monkeypatch)
    monkeypatch.delenv("SSL_CERT_FILE")
    found = written(world)
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]

    def serve() -> None:
        client, _ = server.accept()
        try:
            context.wrap_socket(client, server_side=True).recv(1)
        except OSError:
            client.close()

    thread = threading.Thread(target=serve)
    thread.start()
    with pytest.raises(DeliveryError, match=r"(?i)certificate"):
        send_records(Target.parse(f"syslog+tls://localhost:{port}", SINKS), found, "1.0")
    thread.join()
    server.close()


def test_witnesses_get_checkpoints_and_tell_of_a_rollback(
    world: World, tmp_path: Path, collector: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    share = tmp_path / "share"
    share.mkdir()
    witnesses = (
        Target.parse(f"file://{share}", WITNESSES),
        Target.parse(f"http://127.0.0.1:{collector.port}/add", WITNESSES),
        Target.parse("file:///nonexistent/folder", WITNESSES),
    )
    log = world.open(AuditSettings(witnesses=witnesses))
    log.append(EVENT)
    log.anchor()
    old = world.copy(tmp_path / "old")
    log.append(EVENT)
    log.anchor()
    assert [state.current for state in log.witness_states()] == [True, True, False]
    assert "No such file" in log.witness_states()[2].why
    assert [note for _, note in log.witnessed()][-1] == log.checkpoint
    log.close()
    (kept,) = share.iterdir()
    notes = split_notes(kept.read_text())
    assert [body.decode() for body in collector.bodies] == notes
    assert main(["log", str(world.folder), "--witness", str(kept)]) == 0
    assert main(["log", str(old.folder), "--witness", str(kept)]) == 1
    assert "once held" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text", ["", "ftp://x", "syslog+udp://", "https://user@host", "file://", "otlp+http:///x"]
)
def test_addresses_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        Target.parse(text, (*SINKS, "https", "file"))


def test_settings_change_while_the_log_is_open(world: World, collector: Collector) -> None:
    sink = Target.parse(f"otlp+http://127.0.0.1:{collector.port}", SINKS)
    log = world.open()
    log.append(EVENT)
    log.configure(AuditSettings(sinks=(sink,)))
    until(lambda: sequences(collector) == [1])
    log.configure(AuditSettings())
    log.append(EVENT)
    assert log.sink_states() == []
    log.close()
    assert sequences(collector) == [1]
