"""Frozen dataclasses to JSON-safe data and back, by their type hints.

Responsible for one reversible mapping used by the journal and the local API; it validates on the
way in, so a damaged record raises instead of becoming a half-built object.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from hivekeep.domain.errors import JournalError

T = TypeVar("T")


@cache
def _adapter(kind: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast(Any, kind))


def encode(value: object, kind: Any = None) -> Any:
    """``value`` as JSON-safe data; ``kind`` names the declared type where it is a union."""
    return _adapter(cast(Hashable, kind or type(value))).dump_python(value, mode="json")


def decode(kind: type[T], data: Any) -> T:
    """Rebuild a ``kind`` from what ``encode`` returned.

    :raises JournalError: if the data does not fit the type.
    """
    try:
        return cast(T, _adapter(cast(Hashable, kind)).validate_python(data))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise JournalError(
            f"A stored {getattr(kind, '__name__', kind)} cannot be understood.",
            why=f"{place}: {first['msg']}.",
            next_step="Run 'hivekeep doctor'; the audit log still says what was done.",
        ) from error
