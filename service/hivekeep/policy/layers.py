"""What one source says: levels, layers, and the text of a policy turned into a layer.

Responsible for understanding policy data whatever it came from; not for getting or trusting it.
Invariant: what cannot be understood whole is an error that names the place, never half a layer.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from hivekeep.domain.errors import PolicyInvalidError
from hivekeep.policy.schema import PolicySettings, markers

USER_SOURCE = "user settings"
_CONTACT = "support.contact"


class Level(StrEnum):
    """Who says so, from strongest to weakest."""

    MANDATORY = "mandatory"
    USER = "user"
    RECOMMENDED = "recommended"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Layer:
    """What one source says; ``values`` has only the keys that it states."""

    level: Level
    source: str
    values: dict[str, Any]

    @property
    def contact(self) -> str:
        """Whom this source says to ask; empty if it does not."""
        return str(self.values.get(_CONTACT, ""))


def unusable(source: str, why: str) -> PolicyInvalidError:
    """The error for a source that cannot be used."""
    return PolicyInvalidError(
        f"The policy {source} cannot be used, so nothing is allowed.",
        why=why,
        next_step="Correct it, or ask your administrator; 'hivekeep policy show' checks it.",
    )


def parse_text(raw: bytes, level: Level, source: str, *, name: str = "") -> Layer:
    """A layer from the JSON text of a policy file; ``name`` is what errors call the file.

    :raises PolicyInvalidError: naming line and key.
    """
    name = name or source
    try:
        text = raw.decode("utf-8")
        data = json.loads(text, object_pairs_hook=_no_duplicates)
    except json.JSONDecodeError as error:
        why = f"Line {error.lineno}, column {error.colno}: {error.msg}."
        raise unusable(name, why) from error
    except (ValueError, RecursionError) as error:
        raise unusable(name, f"{error}.") from error
    if isinstance(data, dict):
        data.pop("$schema", None)
    return parse_data(data, level, source, name=name, text=text)


def parse_data(data: Any, level: Level, source: str, *, name: str = "", text: str = "") -> Layer:
    """A layer from plain data: sections of keys, as JSON would give them.

    :raises PolicyInvalidError: naming the key, and the line where ``text`` is given.
    """
    try:
        settings = PolicySettings.model_validate_json(json.dumps(data))
    except ValidationError as error:
        raise unusable(name or source, _explain(error, text)) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise unusable(name or source, f"{error}.") from error
    stated: dict[str, Any] = {}
    for key in markers():
        section, _, key_name = key.partition(".")
        rules = getattr(settings, section)
        if key_name in rules.model_fields_set and getattr(rules, key_name) is not None:
            stated[key] = getattr(rules, key_name)
    return Layer(level, source, stated)


def _explain(error: ValidationError, text: str) -> str:
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = "there is no such key"
    if not place:
        return f"{message}."
    line = f"Line {_line_of(text, place)}, " if text else ""
    return f"{line}{_key(place)}: {message}."


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"The key '{key}' stands there twice")
        found[key] = value
    return found


def _key(place: list[str]) -> str:
    return "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in place).lstrip(".")


def _line_of(text: str, place: list[str]) -> int:
    """The line of the innermost key on the way to ``place``; keys are unique within an object."""
    at = 0
    for part in place:
        match = re.compile(rf"{re.escape(json.dumps(part))}\s*:").search(text, at)
        if match is not None:
            at = match.start()
    return text.count("\n", 0, at) + 1
