"""The shape that every JSON Schema of ours has, whoever asks a model to keep to it."""

from __future__ import annotations

from typing import Any


def object_schema(properties: dict[str, Any]) -> dict[str, Any]:
    """A closed object in which every property has to be answered, if only by null."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
