"""From the JSON Schema of a server's tool to the typed arguments of one of ours.

Responsible for the part of JSON Schema that a small model can be held to: a flat object of texts,
numbers, switches, choices and lists of those.  The server's own schema is checked as well, in the
process that speaks with it.  Invariant: every accepted argument is bounded, however the schema was
written, and building the type never takes longer than the schema is long.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Optional

from pydantic import ConfigDict, Field, create_model

from hivekeep.domain.errors import ToolError
from hivekeep.tools.spec import Arguments

MOST_ARGUMENTS = 20
MOST_TEXT = 4_000
MOST_ITEMS = 50
MOST_CHOICES = 50
_LONGEST_NAME = 60
_MOST_NUMBER = 2**53


class McpArguments(Arguments):
    """Base of the arguments of servers' tools; fields go by the server's names."""

    model_config = ConfigDict(serialize_by_alias=True)


def arguments_of(tool: str, schema: dict[str, Any]) -> type[Arguments]:
    """The type of a tool's arguments; one that may be left out may be null.

    :raises ToolError: if the schema asks for what cannot be expressed.
    """
    properties = schema.get("properties", {})
    required = schema.get("required", [])
    named = isinstance(required, list) and all(isinstance(name, str) for name in required)
    if not isinstance(properties, dict) or not named:
        raise _inexpressible(tool, "its schema is no object's")
    fields: dict[str, Any] = {}
    for name, stated in properties.items():
        part, nullable = _without_null(stated)
        kind = _kind(part)
        if kind is None and name not in required:
            continue  # an argument that may be left out is left out
        if kind is None or not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
            raise _inexpressible(tool, f"the argument '{name[:_LONGEST_NAME]}' is not plain")
        left_out = nullable or name not in required
        wanted = Optional[kind] if left_out else kind  # noqa: UP045 - built at run time
        # Servers may call an argument anything, also what a class of pydantic's already has.
        fields[f"a{len(fields)}"] = (wanted, Field(alias=name))
    if len(fields) > MOST_ARGUMENTS:
        raise _inexpressible(tool, f"it has more than {MOST_ARGUMENTS} arguments")
    if missing := [name for name in required if name not in properties]:
        raise _inexpressible(tool, f"the argument '{str(missing[0])[:_LONGEST_NAME]}' has no type")
    made: type[Arguments] = create_model(
        f"McpArguments_{len(fields)}", __base__=McpArguments, **fields
    )
    return made


def _without_null(part: Any) -> tuple[Any, bool]:
    """A part without the null that it allows beside one other thing, and whether it allows it."""
    if not isinstance(part, dict):
        return part, False
    choices = part.get("anyOf")
    if isinstance(choices, list):
        others = [c for c in choices if not (isinstance(c, dict) and c.get("type") == "null")]
        return (others[0], True) if len(others) == 1 < len(choices) else (part, False)
    kinds = part.get("type")
    if isinstance(kinds, list):
        named = [kind for kind in kinds if kind != "null"]
        return ({**part, "type": named[0]}, True) if len(named) == 1 < len(kinds) else (part, False)
    return part, False


def _kind(part: Any, *, nested: bool = False) -> Any:
    """The type that a part of a schema stands for; ``None`` if it is not plain."""
    if not isinstance(part, dict):
        return None
    choices = part.get("enum")
    if isinstance(choices, list):
        texts = [item for item in choices if isinstance(item, str) and len(item) <= MOST_TEXT]
        whole = len(texts) == len(choices) and 0 < len(texts) <= MOST_CHOICES
        return Literal[tuple(dict.fromkeys(texts))] if whole else None
    match part.get("type"):
        case "string":
            return Annotated[str, Field(max_length=_bound(part, "maxLength", MOST_TEXT))]
        case "integer":
            return Annotated[int, Field(ge=-_MOST_NUMBER, le=_MOST_NUMBER)]
        case "number":
            return Annotated[
                int | float, Field(ge=-_MOST_NUMBER, le=_MOST_NUMBER, allow_inf_nan=False)
            ]
        case "boolean":
            return bool
        case "array" if not nested:
            item: Any = _kind(part.get("items"), nested=True)
            most = _bound(part, "maxItems", MOST_ITEMS)
            # Written with the operator, because the item's type is known only at run time.
            listed = None if item is None else list.__class_getitem__(item)
            return None if listed is None else Annotated[listed, Field(max_length=most)]
    return None


def _bound(part: dict[str, Any], key: str, most: int) -> int:
    stated = part.get(key)
    if not isinstance(stated, int) or isinstance(stated, bool) or stated < 0:
        return most
    return min(stated, most)


def _inexpressible(tool: str, why: str) -> ToolError:
    return ToolError(f"The tool '{tool[:80]}' cannot be offered to agents.", why=f"{why}.")
