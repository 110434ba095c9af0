"""Every key of the schema described as plain data.

Responsible for what templates, the reference page and the status page need to know of a key, read
off the pydantic models; it adds nothing of its own.  Invariant: a key of a shape that templates
cannot express is an error here, not a gap there.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from hivekeep.policy.markers import Marker
from hivekeep.policy.schema import markers, sections


class Shape(StrEnum):
    """How the value of a key looks."""

    SWITCH = "switch"
    NUMBER = "number"
    CHOICE = "choice"
    LIST = "list"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Key:
    """One key; ``choices`` are of the value, or of a list's entries."""

    section: str
    name: str
    shape: Shape
    default: Any
    description: str
    marker: Marker
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    pattern: str = ""
    optional: bool = False

    @property
    def id(self) -> str:
        """``section.name``."""
        return f"{self.section}.{self.name}"


@cache
def keys() -> tuple[Key, ...]:
    """All keys in the order of the schema."""
    found = []
    for section, rules in sections().items():
        schema = rules.model_json_schema()
        for name, property_ in schema["properties"].items():
            found.append(_key(section, name, property_, schema.get("$defs", {})))
    return tuple(found)


def section_description(section: str) -> str:
    """What a section is about, in one sentence."""
    return str(sections()[section].__doc__)


def _key(section: str, name: str, property_: dict[str, Any], definitions: dict[str, Any]) -> Key:
    value, optional = property_, False
    if "anyOf" in property_:
        (value,) = [part for part in property_["anyOf"] if part.get("type") != "null"]
        optional = True
    value = _resolve(value, definitions)
    shape = _shape(value)
    entry = _resolve(value["items"], definitions) if shape is Shape.LIST else value
    return Key(
        section=section,
        name=name,
        shape=shape,
        default=property_["default"],
        description=property_["description"],
        marker=markers()[f"{section}.{name}"],
        choices=tuple(entry.get("enum", ())),
        minimum=value.get("minimum"),
        maximum=value.get("maximum"),
        pattern=entry.get("pattern", ""),
        optional=optional,
    )


def _resolve(value: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in value:
        return value
    found: dict[str, Any] = definitions[value["$ref"].rpartition("/")[2]]
    return found


def _shape(value: dict[str, Any]) -> Shape:
    match value["type"]:
        case "boolean":
            return Shape.SWITCH
        case "integer":
            return Shape.NUMBER
        case "array":
            return Shape.LIST
        case "string" if "enum" in value:
            return Shape.CHOICE
        case "string":
            return Shape.TEXT
    raise TypeError(f"no template can express {value}")
