"""The remote backend against llama.cpp's own server, where that has been built."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.llama_server import KEY, llama_server

from hivekeep.domain.inference import FinishEvent, GenerateRequest, Message, Role
from hivekeep.engine.remote import RemoteEngine, RemoteModel
from hivekeep.engine.remote.models import remote_model

pytestmark = pytest.mark.model
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"kind": {"enum": ["person", "place"]}, "name": {"type": "string"}},
    "required": ["kind", "name"],
    "additionalProperties": False,
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def address(small_model: Path) -> Iterator[str]:
    with llama_server(small_model, parallel=4) as started:
        yield f"{started}/v1"


@pytest.mark.anyio
async def test_llama_server_keeps_to_the_schema_with_three_hundred_waiting(address: str) -> None:
    remote = remote_model(name="big", url=address, model="x", host_limit=64)

    async def permit(_remote: RemoteModel, _request: GenerateRequest) -> None:
        """Allowed."""

    requests = [
        GenerateRequest(
            f"q{n}", "run", f"a{n}", "big", (Message(Role.USER, f"Person {n}. JSON:"),),
            schema=SCHEMA, max_tokens=40,
        )
        for n in range(300)
    ]  # fmt: skip
    async with RemoteEngine(lambda _: remote, permit, lambda _: KEY) as engine:
        finished = [
            event async for event in engine.generate(requests) if isinstance(event, FinishEvent)
        ]
    assert len({event.request for event in finished}) == 300
    whole = [event for event in finished if event.reason == "stop"]
    assert whole
    for event in whole:
        assert json.loads(event.text)["kind"] in ("person", "place")
        assert event.usage.prompt > 0
    assert any(event.logprobs for event in finished)
