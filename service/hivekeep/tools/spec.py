"""What a tool is: a name, typed arguments, an effect, and three verbs around the journal.

Responsible for the shape that every tool has; not for any tool.  Invariant: a call with an effect
is described completely before it happens, and can be asked afterwards whether it has.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ConfigDict

from hivekeep.domain.actions import Label
from hivekeep.domain.json_schema import object_schema
from hivekeep.domain.provenance import TRUSTED, Provenance

if TYPE_CHECKING:
    from hivekeep.tools.context import ToolContext


class EffectClass(StrEnum):
    """How far a call reaches."""

    READ = "read"
    """It changes nothing, so it may be repeated freely."""
    WRITE = "write"
    """It changes something on this machine."""
    OUTSIDE = "outside"
    """It changes or tells something beyond this machine."""


class Happened(StrEnum):
    """What can be found out about a call whose result was lost in a crash."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"
    """Only a person can tell: the call is in doubt."""


class Arguments(BaseModel):
    """Base of every tool's arguments: closed, strict and frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model, policy and the journal know it.

    ``arguments`` is a pydantic model that does not contain itself; ``returns`` is the label of what
    the tool hands back.  ``described_by`` says whose words the description is made of.
    ``asks_itself`` means that every call asks policy as what it is, so that using the tool at all
    is no question of its own.
    """

    name: str
    description: str
    arguments: type[Arguments]
    effect: EffectClass
    returns: Label
    described_by: Provenance = TRUSTED
    asks_itself: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the arguments, every one of them required."""
        raw = self.arguments.model_json_schema()
        return _closed(raw, raw.get("$defs", {}))


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call gave: ``data`` is journaled, ``text`` is what the agent is shown.

    ``written`` counts the bytes that the call wrote.
    """

    data: dict[str, Any]
    text: str
    provenance: Provenance = TRUSTED
    written: int = 0


def fingerprint(tool: str, arguments: dict[str, Any]) -> str:
    """The same for the same tool with the same arguments."""
    return f"{tool} {json.dumps(arguments, sort_keys=True, ensure_ascii=False)}"


class Tool(Protocol):
    """One tool; stateless, so that any agent may hold it."""

    @property
    def spec(self) -> ToolSpec:
        """Its description."""
        ...

    async def prepare(self, arguments: Any, context: ToolContext) -> dict[str, Any]:
        """Describe completely, as JSON-safe data, what ``perform`` will do; change nothing.

        :raises ToolError: if the arguments cannot be used.
        :raises PolicyDeniedError: if grant or policy forbids the call.
        """
        ...

    async def perform(self, prepared: dict[str, Any], context: ToolContext) -> ToolResult:
        """Do what was prepared."""
        ...

    async def happened(self, prepared: dict[str, Any], context: ToolContext) -> Happened:
        """Whether ``perform`` took place, asked after a crash."""
        ...


def _closed(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """An object's schema with every property required, and nothing beside them."""
    properties = {
        name: _plain(part, definitions) for name, part in schema.get("properties", {}).items()
    }
    return object_schema(properties)


def _plain(part: Any, definitions: dict[str, Any]) -> Any:
    """A schema whole in itself, without the words that cost tokens and constrain nothing."""
    if isinstance(part, list):
        return [_plain(item, definitions) for item in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _plain(definitions[part["$ref"].rpartition("/")[2]], definitions)
    if "properties" in part:
        return _closed(part, definitions)
    dropped = ("title", "default", "description")
    return {key: _plain(value, definitions) for key, value in part.items() if key not in dropped}
