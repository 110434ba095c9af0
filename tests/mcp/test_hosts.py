"""Real servers, made with the official SDK, that behave and that do not."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import psutil
import pytest

from hivekeep.domain.errors import PolicyDeniedError, ToolError
from hivekeep.sandbox import system
from hivekeep.tools.mcp import McpHosts, Server, pins_of
from hivekeep.tools.mcp.servers import ToolPin

pytest.importorskip("mcp")
pytestmark = [pytest.mark.anyio, pytest.mark.skipif(not system.LINUX, reason="needs the room")]

HERE = Path(__file__).parent
SHOWN = tuple(sorted({str(HERE), sys.prefix, sys.base_prefix, os.path.realpath(sys.prefix)}))


def described(how: str, *, network: bool = False, seconds: float = 60.0) -> Server:
    return Server(
        name="test", command=(sys.executable, str(HERE / "server.py"), how), read=SHOWN,
        network=network, seconds=seconds,
    )  # fmt: skip


@asynccontextmanager
async def running(
    server: Server, work: Path, *, required: Sequence[str] = (), allowed: bool = True
) -> AsyncIterator[McpHosts]:
    async def permit(_server: Server) -> None:
        if not allowed:
            raise PolicyDeniedError("No.", rule="tools.mcp_servers")

    kept = {server.name: server}
    hosts = McpHosts(kept.__getitem__, permit, work, lambda: required)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hosts.serve)
        if not server.tools and allowed:
            kept[server.name] = server.model_copy(update={"tools": PINS})
        yield hosts
        tasks.cancel_scope.cancel()
    assert [p for p in psutil.Process().children(recursive=True) if "server.py" in _line(p)] == []


def _line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


_SUM = {
    "properties": {
        "first": {"title": "First", "type": "integer"},
        "second": {"title": "Second", "type": "integer"},
        "note": {
            "anyOf": [{"type": "string"}, {"type": "null"}], "default": None, "title": "Note",
        },
    },
    "required": ["first", "second"],
    "title": "addArguments",
    "type": "object",
}  # fmt: skip
_REACH = {
    "properties": {
        "path": {"title": "Path", "type": "string"},
        "host": {"title": "Host", "type": "string"},
    },
    "required": ["path", "host"],
    "title": "reachArguments",
    "type": "object",
}
_REMEMBER = {
    "$defs": {
        "Person": {
            "description": "Somebody, with what is known.",
            "properties": {
                "name": {"title": "Name", "type": "string"},
                "born": {
                    "anyOf": [{"type": "integer"}, {"type": "null"}], "default": None,
                    "title": "Born",
                },
                "facts": {"items": {"type": "string"}, "title": "Facts", "type": "array"},
            },
            "required": ["name", "facts"],
            "title": "Person",
            "type": "object",
        }
    },
    "properties": {
        "people": {"items": {"$ref": "#/$defs/Person"}, "title": "People", "type": "array"},
    },
    "required": ["people"],
    "title": "rememberArguments",
    "type": "object",
}  # fmt: skip
PINS = (
    ToolPin(name="add", description="Adds two numbers.", arguments=_SUM),
    ToolPin(name="reach", description="Says what it can reach.", arguments=_REACH),
    ToolPin(name="remember", description="Remembers people.", arguments=_REMEMBER),
)


async def test_a_server_is_listed_called_and_ended(tmp_path: Path) -> None:
    async with running(described("well"), tmp_path) as hosts:
        pins = await hosts.listing(described("well"))
        assert [pin.name for pin in pins] == ["add", "reach", "remember", "nested"]
        assert pins[:3] == PINS
        assert await hosts.call("test", "add", {"first": 2, "second": 40}) == "42"
        assert await hosts.call("test", "add", {"first": 1, "second": 1, "note": "x"}) == "2 (x)"


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("hang", "did not answer in time"),
        ("die", "ended"),
        ("flood", "more than"),
        ("chatter", "messages before it answered"),
        ("eat", ""),
        ("silent", "did not answer in time"),
        ("stillborn", "a library is missing"),
        ("fail", "reports a failure"),
    ],
)
async def test_a_server_that_fails_costs_its_call_only(tmp_path: Path, how: str, says: str) -> None:
    seconds = 3.0 if how in ("hang", "silent") else 60.0
    async with running(described(how, seconds=seconds), tmp_path) as hosts:
        if how == "silent":
            import hivekeep.tools.mcp.hosts as module

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(module, "_START_SECONDS", 1.0)
                with pytest.raises(ToolError) as caught:
                    await hosts.call("test", "add", {"first": 1, "second": 1})
        else:
            with pytest.raises(ToolError) as caught:
                await hosts.call("test", "add", {"first": 1, "second": 1})
        assert says in str(caught.value)
        assert "Traceback" not in caught.value.what


async def test_garbage_between_messages_is_dropped(tmp_path: Path) -> None:
    async with running(described("garbage"), tmp_path) as hosts:
        assert await hosts.call("test", "add", {"first": 1, "second": 1}) == "2"


async def test_a_reply_is_bounded(tmp_path: Path) -> None:
    async with running(described("long"), tmp_path) as hosts:
        assert len(await hosts.call("test", "add", {"first": 1, "second": 1})) == 100_000


async def test_arguments_are_checked_against_the_servers_own_schema(tmp_path: Path) -> None:
    async with running(described("well"), tmp_path) as hosts:
        with pytest.raises(ToolError, match="cannot be called so"):
            await hosts.call("test", "add", {"first": "two", "second": 40})
        assert await hosts.call("test", "add", {"first": 2, "second": 40}) == "42"


async def test_a_tool_that_is_described_anew_is_not_called(tmp_path: Path) -> None:
    async with running(described("changed"), tmp_path) as hosts:
        with pytest.raises(ToolError, match="otherwise than when it was added"):
            await hosts.call("test", "add", {"first": 1, "second": 1})


async def test_what_policy_does_not_name_is_not_started(tmp_path: Path) -> None:
    server = described("well").model_copy(update={"tools": PINS})
    async with running(server, tmp_path, allowed=False) as hosts:
        with pytest.raises(PolicyDeniedError):
            await hosts.call("test", "add", {"first": 1, "second": 1})
        with pytest.raises(PolicyDeniedError):
            await hosts.listing(server)


@pytest.mark.parametrize("network", [False, True])
async def test_it_sees_neither_files_nor_network_unless_granted(
    tmp_path: Path, network: bool
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        threading.Thread(target=_accept, args=(listener,), daemon=True).start()
        async with running(described("well", network=network), tmp_path / "work") as hosts:
            said = await hosts.call(
                "test", "reach", {"path": str(secret), "host": f"127.0.0.1:{port}"}
            )
    assert "the secret" not in said
    assert "wrote into its own folder" in said
    assert ("; connected" in said) is network
    assert (tmp_path / "work" / "test" / "own").read_text() == "kept"


def _accept(listener: socket.socket) -> None:
    try:
        listener.accept()[0].close()
    except OSError:
        return


async def test_protections_that_are_not_to_be_had(tmp_path: Path) -> None:
    async with running(described("well"), tmp_path, required=["seatbelt"]) as hosts:
        with pytest.raises(ToolError, match="not to be had"):
            await hosts.call("test", "add", {"first": 1, "second": 1})


def test_only_well_described_tools_are_taken() -> None:
    good = {"name": "add", "description": "", "arguments": {"type": "object"}}
    listing = [good, {**good, "description": "again"}, {"name": ""}, 3, {**good, "name": "x" * 101},
               {**good, "name": "big", "arguments": {"x": "y" * 70_000}}]  # fmt: skip
    assert pins_of(listing) == (ToolPin(name="add", description="", arguments={"type": "object"}),)
    assert len(pins_of([{**good, "name": f"n{n}"} for n in range(500)])) == 64
