"""A server's tool as one that agents may be granted.

Responsible for what policy and the person who decides are told before a call, and for the label of
what comes back.  Invariant: a call is asked about with the arguments that are then sent, an agent
that is shown a server's words about a tool carries their label from then on, and a reply is
untrusted text with the server as its origin.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from hivekeep.domain.actions import Action, ActionKind, Label
from hivekeep.domain.errors import ToolError
from hivekeep.domain.provenance import Origin, OriginKind, of
from hivekeep.tools.context import ToolContext
from hivekeep.tools.mcp.schema import McpArguments, arguments_of
from hivekeep.tools.mcp.servers import Server, ToolPin
from hivekeep.tools.spec import EffectClass, Happened, ToolResult, ToolSpec

logger = logging.getLogger(__name__)

_MOST_SHOWN = 4_000
_MOST_DESCRIBED = 200


class Caller(Protocol):
    """The way to the servers."""

    async def call(self, server: str, tool: str, arguments: dict[str, Any]) -> str:
        """The text of the reply.

        :raises ToolError: if the server does not answer as it should.
        """
        ...


class McpTool:
    """One tool of one server, called ``server/tool``.

    :raises ToolError: if its arguments cannot be expressed.
    """

    def __init__(self, server: Server, pin: ToolPin, caller: Caller) -> None:
        self._server, self._pin, self._caller = server, pin, caller
        said = " ".join(pin.description.split())
        plain = "".join(char for char in said if char.isprintable()).replace('"', "'")
        shown = plain[:_MOST_DESCRIBED]
        origin = Origin(
            Label.UNTRUSTED, OriginKind.MCP, f"the server {server.name}",
            place=f"its description of {pin.name}", quote=said,
        )  # fmt: skip
        self._spec = ToolSpec(
            name=f"{server.name}/{pin.name}",
            description=f'of the server {server.name}, which says: "{shown}"',
            arguments=arguments_of(pin.name, pin.arguments),
            # What a server hints about its own tools is not believed.
            effect=EffectClass.OUTSIDE,
            returns=Label.UNTRUSTED,
            described_by=of(origin),
            asks_itself=True,
        )

    @property
    def spec(self) -> ToolSpec:
        """Its description."""
        return self._spec

    async def prepare(self, arguments: McpArguments, context: ToolContext) -> dict[str, Any]:
        """The call with everything that is sent, to which an approval is bound."""
        said = arguments.sent()
        sent = json.dumps([self._server.name, self._pin.digest, said], sort_keys=True)
        rule = await context.require(
            Action(
                ActionKind.MCP_CALL,
                server=self._server.name,
                tool=self._pin.name,
                arguments=tuple(
                    f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in said.items()
                ),
                label=context.provenance.label,
                payload_sha256=hashlib.sha256(sent.encode()).hexdigest(),
            )
        )
        return {
            "server": self._server.name, "tool": self._pin.name, "pin": self._pin.digest,
            "arguments": said, "rule": rule,
        }  # fmt: skip

    async def perform(self, prepared: dict[str, Any], context: ToolContext) -> ToolResult:
        """What the server answered."""
        if prepared["pin"] != self._pin.digest:
            raise ToolError(
                f"'{self._spec.name}' was replaced by another tool after the call was agreed to.",
                next_step="Run it again to be asked again.",
            )
        reply = await self._caller.call(self._server.name, self._pin.name, prepared["arguments"])
        origin = Origin(
            Label.UNTRUSTED, OriginKind.MCP, f"the server {self._server.name}",
            place=f"reply of {self._pin.name}", quote=reply,
            sha256=hashlib.sha256(reply.encode()).hexdigest(),
        )  # fmt: skip
        shown = reply[:_MOST_SHOWN] + (" … (shortened)" if len(reply) > _MOST_SHOWN else "")
        data = {"sha256": origin.sha256, "characters": len(reply)}
        # What was sent may come back, so the reply is as little trusted as what led to it.
        return ToolResult(data, shown or "(an empty answer)", context.provenance.join(of(origin)))

    async def happened(self, prepared: dict[str, Any], context: ToolContext) -> Happened:  # noqa: ARG002
        """Nobody here can tell what a server has done."""
        return Happened.UNKNOWN


def tools_of(servers: Iterable[Server], caller: Caller) -> Iterator[McpTool]:
    """The tools of all servers that can be offered; the others are named in the log."""
    for server in servers:
        for pin in server.tools:
            try:
                yield McpTool(server, pin, caller)
            except ToolError as error:
                logger.warning("MCP server %s: %s", server.name, error)
