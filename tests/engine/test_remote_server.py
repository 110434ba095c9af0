"""The remote backend against llama.cpp's own server, where that has been built."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    built = sorted((cache / "hivekeep" / "llama.cpp-build").glob("build-*/bin/llama-server"))
    if not built:
        pytest.skip("llama-server is not built: python tools/build_llama_tools.py")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        str(built[-1]), "-m", str(small_model), "--port", str(port), "-np", "4", "-c",
        "4096", "-t", "1", "--api-key", "sk-test", "--no-webui",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()


def _wait(url: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail("llama-server did not start")


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
    async with RemoteEngine(lambda _: remote, permit, lambda _: "sk-test") as engine:
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
