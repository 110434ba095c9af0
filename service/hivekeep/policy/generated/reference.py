"""The reference page of the documentation: every key with its values, default and meaning."""

from __future__ import annotations

import json

from hivekeep.policy.keys import Key, Shape, keys, section_description
from hivekeep.policy.markers import Allow, Demand, Deny, First, Highest, Lowest, Marker, Strictest

_HEAD = """# Policy reference

Generated from the schema by `hivekeep policy generate`; do not edit. [policy.md](policy.md) tells
how policies work. A key that is not set says nothing. *Combines* says what counts where several
sources state the same key.
"""
_TABLE = "\n| key | value | default | combines | meaning |\n|---|---|---|---|---|\n"


def reference_page() -> str:
    """``docs/policy-reference.md`` as it has to be."""
    parts = [_HEAD]
    section = ""
    for key in keys():
        if key.section != section:
            section = key.section
            parts.append(f"\n## `{section}`\n\n{section_description(section)}\n")
            parts.append(
                "\n| key | value | default | combines | meaning |\n|---|---|---|---|---|\n"
            )
        parts.append(
            f"| `{key.id}` | {_value(key)} | {_default(key)} | {combination(key.marker)} "
            f"| {key.description} |\n"
        )
    return "".join(parts)


def combination(marker: Marker) -> str:
    """What counts of several values, in a few words."""
    match marker:
        case Allow():
            return "what all allow"
        case Deny():
            return "what any denies"
        case Demand():
            return "what any demands"
        case Lowest():
            return "the lowest"
        case Highest():
            return "the highest"
        case Strictest(order):
            return f"`{json.dumps(order[0])}` first" if len(order) == 2 else "the strictest"
        case First():
            return "the first"


def _value(key: Key) -> str:
    choices = ", ".join(f"`{choice}`" for choice in key.choices)
    match key.shape:
        case Shape.SWITCH:
            return "`true`, `false`"
        case Shape.NUMBER:
            return f"a number from {key.minimum} to {key.maximum}"
        case Shape.LIST:
            return f"a list of {choices}" if choices else "a list of texts"
        case Shape.CHOICE:
            return choices
        case Shape.TEXT:
            return "a text"


def _default(key: Key) -> str:
    return "not set" if key.default is None else f"`{json.dumps(key.default)}`"
