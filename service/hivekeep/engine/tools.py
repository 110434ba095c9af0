"""Calls of tools as constrained answers: the same mechanism as any other schema.

Responsible for the schema that lets a model choose one of the tools with arguments that fit, or
answer in words, and for reading such an answer; running tools is the swarm's.  Invariant: what
``parse_call`` returns names a tool that was offered.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hivekeep.domain.errors import EngineError
from hivekeep.domain.json_schema import object_schema

_ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model sees it. ``parameters`` is the JSON Schema of an object."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model wants ``tool`` called."""

    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answered:
    """The model answered in words instead."""

    text: str


def tool_schema(
    tools: Sequence[ToolSpec], *, answer: bool = True, answer_length: int = 4000
) -> dict[str, Any]:
    """The schema of one step: a call of one of ``tools`` or, if ``answer``, the final words.

    :raises EngineError: if there is nothing to choose from or a name is taken twice.
    """
    names = [tool.name for tool in tools] + ([_ANSWER] if answer else [])
    if not names or len(set(names)) != len(names):
        raise EngineError("The tools cannot be offered.", why="Their names are not distinct.")
    choices = [_choice(tool.name, "arguments", tool.parameters) for tool in tools]
    if answer:
        choices.append(_choice(_ANSWER, "text", {"type": "string", "maxLength": answer_length}))
    return choices[0] if len(choices) == 1 else {"anyOf": choices}


def describe_tools(tools: Sequence[ToolSpec]) -> str:
    """The tools as a prompt tells of them: one line each, with its parameters' schema."""
    return "\n".join(
        f"- {tool.name}: {tool.description} Arguments: "
        f"{json.dumps(tool.parameters, separators=(',', ':'), ensure_ascii=False)}"
        for tool in tools
    )


def parse_call(text: str, tools: Sequence[ToolSpec]) -> ToolCall | Answered:
    """What the model chose.

    :raises EngineError: if the answer was cut short or names a tool that was not offered.
    """
    try:
        data = json.loads(text)
        name = data["tool"]
        if name == _ANSWER:
            return Answered(str(data["text"]))
        if name in {tool.name for tool in tools} and isinstance(data["arguments"], dict):
            return ToolCall(name, data["arguments"])
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(
            "The model's choice of a tool cannot be read.", why="Its answer was cut short."
        ) from error
    raise EngineError("The model chose a tool that was not offered.", why=repr(name)[:100])


def _choice(name: str, key: str, schema: dict[str, Any]) -> dict[str, Any]:
    return object_schema({"tool": {"const": name}, key: schema})
