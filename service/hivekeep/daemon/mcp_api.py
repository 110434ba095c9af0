"""MCP servers as verbs and routes of the local API.

Responsible for trying, adding, removing and testing them, and for what policy is asked before one
starts.  Invariant: a server's tools are offered to agents only as a person has seen them, and no
server starts that policy does not name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import anyio
from pydantic import Field, ValidationError

from hivekeep.daemon.gate import PolicyGate
from hivekeep.daemon.routing import Body, Routes
from hivekeep.daemon.wiring import resolved
from hivekeep.domain.actions import Action, ActionKind
from hivekeep.domain.errors import ToolError, UsageError
from hivekeep.tools import Registry
from hivekeep.tools.mcp import McpHosts, Server, ServerFile, ToolPin, tools_of
from hivekeep.tools.mcp.schema import arguments_of


class ServerBody(Body):
    """A server to try or to add; ``listing`` is the digest of the tools that a person has seen."""

    name: str
    command: list[str]
    environment: dict[str, str] = Field(default_factory=dict)
    read: list[str] = Field(default_factory=list)
    network: bool = False
    seconds: float = 60.0
    listing: str = ""


class ListingBody(Body):
    """``listing`` is the digest of the tools that a person has seen and takes."""

    listing: str = ""


async def permit(gate: PolicyGate, server: Server) -> None:
    """Ask policy whether a server may start, and for each folder whether it may be shown to it.

    :raises PolicyDeniedError: if not.
    """
    verb = "network" if server.network else ""
    start = Action(
        ActionKind.MCP_START, server=server.name, verb=verb, command=server.command[0],
        arguments=server.command[1:],
    )  # fmt: skip
    await gate.require(start)
    for path in server.read:
        await gate.require(Action(ActionKind.MCP_START, server=server.name, verb=verb, path=path))


class McpDesk:
    """The verbs.

    :param base: the tools that every installation has.
    :param offer: makes the tools of a registry those of all runs from now on.
    """

    def __init__(
        self,
        servers: ServerFile,
        hosts: McpHosts,
        gate: PolicyGate,
        base: Registry,
        offer: Callable[[Registry], None],
    ) -> None:
        self._servers, self._hosts, self._gate = servers, hosts, gate
        self._base, self._use = base, offer

    def list(self) -> list[dict[str, Any]]:
        """Every server, its tools, and whether policy lets it start."""
        return [self._view(server) for server in self._servers.servers]

    async def try_it(self, body: ServerBody) -> dict[str, Any]:
        """Start a server and show what it says of itself; nothing is kept.

        :raises HivekeepError: if policy forbids it or it does not answer.
        """
        pins = await self._hosts.listing(await self._server(body))
        return {"tools": [_tool(pin) for pin in pins], "listing": _digest(pins)}

    async def add(self, body: ServerBody) -> dict[str, Any]:
        """Keep a server with the tools that it lists, if they are those a person has seen.

        :raises UsageError: if it lists others by now.
        """
        server = await self._server(body)
        pins = await self._hosts.listing(server)
        _require_seen(server.name, pins, body.listing)
        kept = server.model_copy(update={"tools": pins})
        await anyio.to_thread.run_sync(self._servers.put, kept)
        await self._changed("mcp.add", kept)
        return self._view(kept)

    async def remove(self, name: str) -> dict[str, Any]:
        """Forget a server; what it wrote into its own folder stays."""
        gone = await anyio.to_thread.run_sync(self._servers.remove, name)
        await self._changed("mcp.remove", gone)
        return {"name": gone.name}

    async def test(self, name: str, listing: str) -> dict[str, Any]:
        """Start a server that is kept and compare its tools with those agreed to.

        With ``listing``, what it says now is taken, if that is what a person has seen.
        """
        server = self._servers.get(name)
        pins = await self._hosts.listing(server)
        before = {pin.name: pin for pin in server.tools}
        changed = [pin.name for pin in pins if before.get(pin.name) != pin]
        gone = [name for name in before if name not in {pin.name for pin in pins}]
        if listing:
            _require_seen(name, pins, listing)
            kept = server.model_copy(update={"tools": pins})
            await anyio.to_thread.run_sync(self._servers.put, kept)
            await self._changed("mcp.accept", kept)
        return {
            "tools": [_tool(pin) for pin in pins], "listing": _digest(pins), "changed": changed,
            "gone": gone, "accepted": bool(listing),
        }  # fmt: skip

    def offer(self) -> None:
        """Offer the tools of all servers to runs that start from now on."""
        self._use(self._base.with_tools(*tools_of(self._servers.servers, self._hosts)))

    async def _changed(self, what: str, server: Server) -> None:
        await self._hosts.forget(server.name)
        self.offer()
        await self._gate.record(
            what, subject=server.name, outcome="kept" if what != "mcp.remove" else "gone",
            command=list(server.command), tools={pin.name: pin.digest for pin in server.tools},
        )  # fmt: skip

    async def _server(self, body: ServerBody) -> Server:
        try:
            read = tuple([await anyio.to_thread.run_sync(resolved, path) for path in body.read])
            server = Server.model_validate({**body.model_dump(exclude={"listing"}), "read": read})
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise UsageError("The MCP server is described wrongly.",
                             why=f"{place}: {first['msg']}.") from error  # fmt: skip
        if not server.command[0].startswith("/"):
            raise UsageError("A server's program is named by its absolute path.")
        return server

    def _view(self, server: Server) -> dict[str, Any]:
        verb = "network" if server.network else ""
        start = Action(ActionKind.MCP_START, server=server.name, verb=verb)
        decision = self._gate.policy.current().decide(start)
        shown = server.model_dump(mode="json", exclude={"environment", "tools"})
        return {
            **shown,
            # What is in the environment may be a token.
            "environment": sorted(server.environment),
            "tools": [_tool(pin) for pin in server.tools],
            "allowed": decision.effect.value,
            "rule": decision.rule,
        }


def add_mcp_routes(routes: Routes, desk: McpDesk) -> None:
    """The routes below ``/v1/mcp``."""

    @routes.get("/v1/mcp")
    async def list_servers() -> dict[str, Any]:
        return {"servers": desk.list()}

    @routes.post("/v1/mcp/try")
    async def try_server(body: ServerBody) -> dict[str, Any]:
        return await desk.try_it(body)

    @routes.post("/v1/mcp", status=201)
    async def add_server(body: ServerBody) -> dict[str, Any]:
        return await desk.add(body)

    @routes.delete("/v1/mcp/{name}")
    async def remove_server(name: str) -> dict[str, Any]:
        return await desk.remove(name)

    @routes.post("/v1/mcp/{name}/test")
    async def test_server(name: str, body: ListingBody) -> dict[str, Any]:
        return await desk.test(name, body.listing)


def _tool(pin: ToolPin) -> dict[str, Any]:
    problem = ""
    try:
        arguments_of(pin.name, pin.arguments)
    except ToolError as error:
        problem = error.why
    return {**pin.model_dump(mode="json"), "digest": pin.digest, "problem": problem}


def _digest(pins: tuple[ToolPin, ...]) -> str:
    said = json.dumps(sorted(pin.digest for pin in pins))
    return hashlib.sha256(said.encode()).hexdigest()


def _require_seen(name: str, pins: tuple[ToolPin, ...], listing: str) -> None:
    if _digest(pins) != listing:
        raise UsageError(
            f"The server '{name}' lists other tools than those you have seen, so nothing is kept.",
            why="It described itself differently a moment later.",
            next_step=f"'hivekeep mcp test {name}' shows what it says; do not trust it lightly.",
        )
