"""The tools there are, and how a model's choice among them becomes a checked call.

Responsible for the schema that constrains the choice and for validating what was chosen.
Invariant: a call that leaves here names a granted tool and has arguments of that tool's types.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from hivekeep.domain.errors import ToolError
from hivekeep.domain.grants import Grant
from hivekeep.domain.json_schema import object_schema
from hivekeep.tools.calculate import Calculate
from hivekeep.tools.documents import ReadDocument, SearchDocuments
from hivekeep.tools.files import ListFiles, WriteFile
from hivekeep.tools.spec import Arguments, Tool, ToolSpec, fingerprint
from hivekeep.tools.workbook import MakeWorkbook

FILE = "x-file"
"""Marks an argument that names a document, in a tool's schema."""
_MOST_NAMES = 120


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool with checked arguments. ``arguments`` is their JSON-safe form."""

    name: str
    arguments: dict[str, Any]

    @property
    def fingerprint(self) -> str:
        """The same for the same tool with the same arguments."""
        return fingerprint(self.name, self.arguments)


class Registry:
    """Tools by name; made once, then only read."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._tools = {tool.spec.name: tool for tool in tools}

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """Every tool's description, by name."""
        return tuple(self._tools[name].spec for name in sorted(self._tools))

    def with_tools(self, *more: Tool) -> Registry:
        """A registry that holds ``more`` as well; a tool of a known name replaces it."""
        return Registry([*self._tools.values(), *more])

    def granted(self, grant: Grant) -> tuple[ToolSpec, ...]:
        """The tools that ``grant`` holds, by name."""
        return tuple(spec for spec in self.specs if grant.may_use(spec.name))

    def tool(self, name: str) -> Tool:
        """:raises ToolError: if there is no such tool."""
        found = self._tools.get(name)
        if found is None:
            raise ToolError(f"There is no tool '{name}'.", why=f"There are: {', '.join(self)}.")
        return found

    def __iter__(self) -> Any:
        return iter(sorted(self._tools))

    def schemas(self, grant: Grant, files: Sequence[str]) -> list[dict[str, Any]]:
        """One schema for each granted tool's call; ``files`` are the names that may be said."""
        return [call_schema(spec.name, _named(spec.schema, files)) for spec in self.granted(grant)]

    def call(self, name: str, arguments: dict[str, Any], grant: Grant) -> ToolCall:
        """What a model chose, checked.

        :raises PolicyDeniedError: if the tool is not granted.
        :raises ToolError: if there is no such tool or the arguments do not fit it.
        """
        spec = self.tool(name).spec
        grant.require_tool(name)
        return ToolCall(name, parse(spec, arguments).model_dump(mode="json"))


def standard_registry() -> Registry:
    """The tools that every installation has."""
    return Registry(
        [ListFiles(), ReadDocument(), SearchDocuments(), Calculate(), WriteFile(), MakeWorkbook()]
    )


def call_schema(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The schema of a call of one tool."""
    return object_schema({"tool": {"const": name}, "arguments": arguments})


def parse(spec: ToolSpec, arguments: dict[str, Any]) -> Arguments:
    """The typed arguments of a tool.

    :raises ToolError: if they do not fit.
    """
    try:
        return spec.arguments.model_validate_json(json.dumps(arguments))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ToolError(
            f"'{spec.name}' cannot be called so.", why=f"{place}: {first['msg']}."
        ) from error


def _named(schema: dict[str, Any], files: Sequence[str]) -> dict[str, Any]:
    """``schema`` with arguments that name a document limited to those there are."""
    properties = {}
    for name, part in schema["properties"].items():
        plain = {key: value for key, value in part.items() if key != FILE}
        if FILE in part and 0 < len(files) <= _MOST_NAMES:
            plain = {"enum": list(files)}
        properties[name] = plain
    return {**schema, "properties": properties}
