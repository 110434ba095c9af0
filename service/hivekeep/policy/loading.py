"""Policy files from disk: which there are, in what order, and whether they can be believed.

Responsible for reading and validating them; how they combine is ``merging``'s.  Invariant: a file
that exists but cannot be read, understood or trusted is an error, never skipped.
"""

from __future__ import annotations

import json
import re
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hivekeep.domain.errors import PolicyInvalidError
from hivekeep.policy.schema import PolicySettings, markers

_MAX_BYTES = 4_000_000
USER_SOURCE = "user settings"


class Level(StrEnum):
    """Who says so, from strongest to weakest."""

    MANDATORY = "mandatory"
    USER = "user"
    RECOMMENDED = "recommended"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class PolicySources:
    """Where policy comes from: two folders of the machine and the user's own file."""

    managed: Path = Path("/etc/hivekeep/policies/managed")
    recommended: Path = Path("/etc/hivekeep/policies/recommended")
    user: Path | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """What one file says; ``values`` has only the keys that it states."""

    level: Level
    source: str
    values: dict[str, Any]


def read_layers(sources: PolicySources) -> list[Layer]:
    """All files in force, machine policy first, each folder's files in the order of their names.

    :raises PolicyInvalidError: if any of them cannot be used.
    """
    layers = [_read(path, Level.MANDATORY, str(path)) for path in _files(sources.managed)]
    layers += [_read(path, Level.RECOMMENDED, str(path)) for path in _files(sources.recommended)]
    if sources.user is not None and _exists(sources.user):
        layers.append(_read(sources.user, Level.USER, USER_SOURCE))
    return layers


def _exists(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _invalid(path, f"{error.strerror}.") from error
    return True


def _files(folder: Path) -> list[Path]:
    if not _exists(folder):
        return []
    try:
        _refuse_writable(folder)
        return sorted(path for path in folder.iterdir() if path.suffix == ".json")
    except OSError as error:
        raise _invalid(folder, f"{error.strerror}.") from error


def _read(path: Path, level: Level, source: str) -> Layer:
    try:
        _refuse_writable(path)
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise _invalid(path, f"{error.strerror}.") from error
    if len(raw) > _MAX_BYTES:
        raise _invalid(path, f"It is larger than {_MAX_BYTES // 1_000_000} MB.")
    return Layer(level, source, _parse(path, raw))


def _parse(path: Path, raw: bytes) -> dict[str, Any]:
    try:
        text = raw.decode("utf-8")
        data = json.loads(text, object_pairs_hook=_no_duplicates)
        if isinstance(data, dict):
            data.pop("$schema", None)
        settings = PolicySettings.model_validate_json(json.dumps(data))
    except json.JSONDecodeError as error:
        raise _invalid(path, f"Line {error.lineno}, column {error.colno}: {error.msg}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = [str(part) for part in first["loc"]]
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = "there is no such key"
        where = f"Line {_line_of(text, place)}, {_key(place)}: " if place else ""
        raise _invalid(path, f"{where}{message}.") from error
    except (ValueError, RecursionError) as error:
        raise _invalid(path, f"{error}.") from error
    stated: dict[str, Any] = {}
    for key in markers():
        section, _, name = key.partition(".")
        rules = getattr(settings, section)
        if name in rules.model_fields_set and getattr(rules, name) is not None:
            stated[key] = getattr(rules, name)
    return stated


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


def _refuse_writable(path: Path) -> None:
    if path.stat().st_mode & stat.S_IWOTH:
        raise _invalid(path, "Everybody may write to it, so nobody can rely on it.")


def _invalid(path: Path, why: str) -> PolicyInvalidError:
    return PolicyInvalidError(
        f"The policy {path} cannot be used, so nothing is allowed.",
        why=why,
        next_step="Correct it, or ask your administrator; 'hivekeep policy show' checks it.",
    )
