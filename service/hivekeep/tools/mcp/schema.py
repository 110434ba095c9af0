"""From the JSON Schema of a server's tool to the typed arguments of one of ours.

Responsible for the part of JSON Schema that a small model can be held to: objects of texts,
numbers, switches and choices, and of lists and objects of those, a few levels deep.  The server's
own schema is checked as well, in the process that speaks with it.  Invariant: every accepted
argument is bounded, however the schema was written, and building the type takes a bounded number of
steps.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Optional

from pydantic import ConfigDict, Field, create_model

from hivekeep.domain.errors import ToolError
from hivekeep.tools.spec import Arguments

MOST_ARGUMENTS = 20
MOST_PARTS = 60
"""Of a whole schema, counted where they are used."""
MOST_DEPTH = 3
"""Objects and lists inside one another, below the arguments themselves."""
MOST_TEXT = 4_000
MOST_ITEMS = 50
MOST_CHOICES = 50
_LONGEST_NAME = 60
_MOST_NUMBER = 2**53


class McpArguments(Arguments):
    """Base of the arguments of servers' tools; fields go by the server's names."""

    model_config = ConfigDict(serialize_by_alias=True)
    needed: ClassVar[frozenset[str]] = frozenset()
    """The server's names of the arguments that may not be left out."""

    def sent(self) -> dict[str, Any]:
        """The arguments as the server gets them: a null that only means "left out" is left out."""
        named = {
            field.alias or name: getattr(self, name)
            for name, field in type(self).model_fields.items()
        }
        return {
            name: _sent(value)
            for name, value in named.items()
            if value is not None or name in self.needed
        }


def _sent(value: Any) -> Any:
    if isinstance(value, McpArguments):
        return value.sent()
    return [_sent(item) for item in value] if isinstance(value, list) else value


def arguments_of(tool: str, schema: dict[str, Any]) -> type[McpArguments]:
    """The type of a tool's arguments; one that may be left out may be null.

    :raises ToolError: if the schema asks for what cannot be expressed.
    """
    return _Types(tool, schema).of_object(schema, MOST_DEPTH)


class _Types:
    """Builds the types that one schema stands for."""

    def __init__(self, tool: str, schema: dict[str, Any]) -> None:
        self._tool, self._schema = tool, schema
        self._parts = 0

    def of_object(self, schema: dict[str, Any], depth: int) -> type[McpArguments]:
        """The type of an object.

        :param depth: how many levels may be inside it.
        :raises ToolError: if it asks for what cannot be expressed.
        """
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        named = isinstance(required, list) and all(isinstance(name, str) for name in required)
        if not isinstance(properties, dict) or not named:
            raise self._inexpressible("its schema is no object's")
        fields: dict[str, Any] = {}
        for name, stated in properties.items():
            part, nullable = _without_null(stated)
            kind = self._kind(part, depth)
            if kind is None and name not in required:
                continue  # an argument that may be left out is left out
            if kind is None or not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
                raise self._inexpressible(f"the argument '{name[:_LONGEST_NAME]}' is not plain")
            left_out = nullable or name not in required
            wanted = Optional[kind] if left_out else kind  # noqa: UP045 - built at run time
            # Servers may call an argument anything, also what a class of pydantic's already has.
            fields[f"a{len(fields)}"] = (wanted, Field(alias=name))
        if len(fields) > MOST_ARGUMENTS:
            raise self._inexpressible(f"it has more than {MOST_ARGUMENTS} arguments")
        if missing := [name for name in required if name not in properties]:
            raise self._inexpressible(f"the argument '{missing[0][:_LONGEST_NAME]}' has no type")
        made: type[McpArguments] = create_model(
            f"McpArguments_{self._parts}", __base__=McpArguments, **fields
        )
        made.needed = frozenset(required)
        return made

    def _kind(self, part: Any, depth: int) -> Any:
        """The type that a part of a schema stands for; ``None`` if it cannot be expressed."""
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise self._inexpressible(f"its schema has more than {MOST_PARTS} parts")
        if not isinstance(part, dict):
            return None
        if "$ref" in part:
            return self._kind(self._definition(part["$ref"]), depth)
        if isinstance(part.get("allOf"), list) and len(part["allOf"]) == 1:
            return self._kind(part["allOf"][0], depth)
        if isinstance(part.get("enum"), list):
            return _choice(part["enum"])
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
            case "array" if depth:
                item: Any = self._kind(part.get("items"), depth - 1)
                most = _bound(part, "maxItems", MOST_ITEMS)
                # Written with the operator, because the item's type is known only at run time.
                listed = None if item is None else list.__class_getitem__(item)
                return None if listed is None else Annotated[listed, Field(max_length=most)]
            # Without properties anything may be in it, and a model cannot be held to anything.
            case "object" if depth and part.get("properties"):
                return self.of_object(part, depth - 1)
        return None

    def _definition(self, reference: Any) -> Any:
        """What the schema defines under "#/$defs/NAME"; nothing for a reference elsewhere."""
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return None
        found: Any = self._schema
        for step in reference[2:].split("/"):
            found = found.get(step) if isinstance(found, dict) else None
        return found

    def _inexpressible(self, why: str) -> ToolError:
        return ToolError(
            f"The tool '{self._tool[:80]}' cannot be offered to agents.", why=f"{why}."
        )


def _choice(items: list[Any]) -> Any:
    """One of some texts; ``None`` if they are others than texts, none, or too many."""
    texts = [item for item in items if isinstance(item, str) and len(item) <= MOST_TEXT]
    whole = len(texts) == len(items) and 0 < len(texts) <= MOST_CHOICES
    return Literal[tuple(dict.fromkeys(texts))] if whole else None


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


def _bound(part: dict[str, Any], key: str, most: int) -> int:
    stated = part.get(key)
    if not isinstance(stated, int) or isinstance(stated, bool) or stated < 0:
        return most
    return min(stated, most)
