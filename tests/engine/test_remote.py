"""The remote backend against a real HTTP server on loopback that misbehaves as it is told."""

from __future__ import annotations

import contextlib
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.engine.chat_server import Handler, Server, answers, begin, event, fails, running
from tests.executors.cluster import make_certificates

from hivekeep.domain.errors import ConfigError, EngineError, PolicyDeniedError, UsageError
from hivekeep.domain.inference import (
    FailEvent,
    FinishEvent,
    FinishReason,
    GenerateRequest,
    Message,
    RestartEvent,
    Role,
    TokenEvent,
)
from hivekeep.engine.remote import RemoteEngine, RemoteModel, RemoteModels
from hivekeep.engine.remote.models import remote_model
from hivekeep.engine.remote.retry import after_failure

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as made:
        yield made


class Client:
    """A remote engine on ``server`` with what it was asked and how long it slept."""

    def __init__(self, server: Server, **more: Any) -> None:
        self.remote = remote_model(
            name="big", url=f"http://127.0.0.1:{server.server_port}/v1", model="kimi", **more
        )
        self.asked: list[str] = []
        self.slept: list[float] = []
        self.denied = False
        self.engine = RemoteEngine(
            lambda _: self.remote, self.permit, lambda _: "sk-1", chance=lambda: 1.0,
            sleep=self.sleep,
        )  # fmt: skip

    async def permit(self, remote: RemoteModel, request: GenerateRequest) -> None:
        self.asked.append(f"{remote.host} {request.agent}")
        if self.denied:
            raise PolicyDeniedError("It may not be connected to.", rule="network.allowed_hosts")

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def request(number: int = 1, **more: Any) -> GenerateRequest:
    messages = (Message(Role.SYSTEM, "Be brief."), Message(Role.USER, "x"))
    return GenerateRequest(f"q{number}", "run", f"a{number}", "big", messages, **more)


@pytest.mark.anyio
async def test_an_answer_with_all_that_was_asked_for(server: Server) -> None:
    client = Client(server)
    async with client.engine as engine:
        asked = request(schema=SCHEMA, seed=3, temperature=0.5, stop=("#",), max_tokens=50)
        finish = await engine.complete(asked)
    assert finish.text == '{"a":1}'
    assert finish.reason is FinishReason.STOP
    assert (finish.usage.prompt, finish.usage.completion) == (9, 7)
    assert finish.logprobs[2] == (2, 3, -0.25)
    (body,) = server.bodies
    assert body["model"] == "kimi"
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA
    assert (body["seed"], body["temperature"], body["stop"]) == (3, 0.5, ["#"])
    assert server.keys == ["Bearer sk-1"]
    assert client.asked == ["127.0.0.1 a1"]


@pytest.mark.anyio
async def test_guided_json_for_servers_that_want_it(server: Server) -> None:
    client = Client(server, guided="guided_json")
    async with client.engine as engine:
        await engine.complete(request(schema=SCHEMA))
    assert server.bodies[0]["guided_json"] == SCHEMA
    assert "response_format" not in server.bodies[0]


@pytest.mark.anyio
async def test_what_policy_denies_is_never_connected_to(server: Server) -> None:
    client = Client(server)
    client.denied = True
    async with client.engine as engine:
        with pytest.raises(EngineError, match="may not be connected to"):
            await engine.complete(request())
    assert server.bodies == []


@pytest.mark.anyio
async def test_passing_failures_are_tried_again_no_sooner_than_asked(server: Server) -> None:
    server.script = [fails(429, retry_after="7"), fails(503), answers('{"a"', cut=True)]
    client = Client(server)
    async with client.engine as engine:
        events = [event async for event in engine.generate([request(schema=SCHEMA)])]
    assert isinstance(events[-1], FinishEvent)
    assert client.slept == [7.5, 1.0, 2.0]
    # What streamed before the connection broke is taken back.
    restart = next(n for n, event in enumerate(events) if isinstance(event, RestartEvent))
    text = "".join(event.text for event in events[restart:] if isinstance(event, TokenEvent))
    assert text == events[-1].text
    # Policy was asked before each try: it may have changed.
    assert len(client.asked) == 4


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("script", "why", "tries"),
    [
        ([fails(500)] * 9, "HTTP 500", 3),
        ([fails(429, retry_after="9999")], "HTTP 429", 1),
        ([fails(401, message="bad key")], "refused the key", 1),
        ([fails(400, message="no such model")], "no such model", 1),
        ([answers("no json")] * 9, "not JSON", 3),
        ([answers('{"b":1}')] * 9, "lacks 'a'", 3),
        ([fails(302, location="http://192.0.2.1/")], "HTTP 302", 1),
    ],
)
async def test_what_does_not_pass_fails_with_the_reason(
    server: Server, script: list[Callable[[Handler], None]], why: str, tries: int
) -> None:
    server.script = list(script)
    client = Client(server, attempts=3)
    async with client.engine as engine:
        with pytest.raises(EngineError, match=why):
            await engine.complete(request(schema=SCHEMA))
    assert len(server.bodies) == tries


@pytest.mark.anyio
async def test_three_hundred_agents_share_the_hosts_limit(server: Server) -> None:
    client = Client(server, host_limit=32)
    server.gate = threading.Barrier(16)
    async with client.engine as engine:
        finished = [
            event.request
            async for event in engine.generate([request(n, schema=SCHEMA) for n in range(304)])
            if isinstance(event, FinishEvent)
        ]
        assert engine.status().usage[0].requests == 304
    assert len(set(finished)) == 304
    # The barrier lets none through before sixteen are there at once.
    assert 16 <= server.most <= 32


@pytest.mark.anyio
async def test_giving_up_closes_the_connection_and_frees_its_place(server: Server) -> None:
    stuck, left = threading.Event(), threading.Event()

    def hang(handler: Handler) -> None:
        begin(handler)
        event(handler, {"choices": [{"delta": {"content": "x"}}]})
        stuck.set()
        with contextlib.suppress(OSError):
            handler.connection.settimeout(30)
            handler.connection.recv(1)
        left.set()

    server.script = [hang]
    client = Client(server, host_limit=1)
    async with client.engine as engine:
        with pytest.raises(EngineError, match="deadline"):
            await engine.complete(request(1, deadline_seconds=0.5))
        assert (await engine.complete(request(2, schema=SCHEMA))).text == '{"a":1}'
    assert await anyio.to_thread.run_sync(left.wait, 20)
    assert stuck.is_set()


@pytest.mark.anyio
async def test_a_server_that_cannot_be_reached_and_adapters_fail(server: Server) -> None:
    client = Client(server, attempts=2)
    client.remote = client.remote.model_copy(update={"url": "http://127.0.0.1:9/v1"})
    async with client.engine as engine:
        with pytest.raises(EngineError, match="did not answer"):
            await engine.complete(request())
        with pytest.raises(EngineError, match="adapter"):
            await engine.complete(request(adapter="/x.gguf"))
        events = [event async for event in engine.generate([request(n) for n in range(3)])]
    assert all(isinstance(event, FailEvent) for event in events)


@pytest.mark.anyio
async def test_a_server_proves_itself_with_the_companys_own_authority(
    server: Server, tmp_path: Path
) -> None:
    make_certificates(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "node.pem", tmp_path / "node.key")
    # The handshake belongs to the request's thread: a stranger must not stop the server.
    server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    client = Client(server, ca_file=str(tmp_path / "ca.pem"))
    url = f"https://127.0.0.1:{server.server_port}/v1"
    client.remote = client.remote.model_copy(update={"url": url})
    async with client.engine as engine:
        assert (await engine.complete(request())).text == '{"a":1}'
        client.remote = client.remote.model_copy(update={"ca_file": ""})
        with pytest.raises(EngineError, match="could not prove who it is") as refused:
            await engine.complete(request(2))
        assert "--ca-file" in refused.value.next_step
        client.remote = client.remote.model_copy(update={"ca_file": str(tmp_path / "node.key")})
        with pytest.raises(EngineError, match="cannot be used"):
            await engine.complete(request(3))
    assert len(server.bodies) == 1


def test_addresses_without_tls_or_with_secrets_are_refused() -> None:
    for url in (
        "http://gpu.example.com/v1", "ftp://x/", "https://me:pw@example.com/", "https://x/?k=1",
    ):  # fmt: skip
        with pytest.raises(UsageError):
            remote_model(name="big", url=url, model="m")
    assert remote_model(name="big", url="https://gpu.example.com:8443/v1/", model="m").host == (
        "gpu.example.com"
    )


def test_the_settings_file_holds_no_key_and_says_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "remotes.json"
    models = RemoteModels(path)
    models.add(remote_model(name="big", url="https://gpu.example.com/v1", model="kimi"))
    assert path.stat().st_mode & 0o777 == 0o600
    assert "key" not in path.read_text()
    assert RemoteModels(path).get("big").model == "kimi"
    models.remove("big")
    assert RemoteModels(path).list() == []
    path.write_text('{"models": [{"name": "big"}]}')
    with pytest.raises(ConfigError, match=r"models\.0\.url"):
        RemoteModels(path)


def test_retry_after_is_understood_as_seconds_and_as_a_date() -> None:
    now = time.mktime((2026, 11, 25, 12, 0, 0, 0, 0, 0)) - time.timezone
    date = {"retry-after": "Wed, 25 Nov 2026 12:00:30 GMT"}
    again = after_failure(1, 5, date, chance=0.0, now=now)
    assert again is not None
    assert again.seconds == pytest.approx(30)
    spread = after_failure(3, 5, {"retry-after": "nonsense"}, chance=0.5, now=now)
    assert spread is not None
    assert spread.seconds == 1.0
    assert after_failure(5, 5, {}, chance=0.0, now=now) is None
