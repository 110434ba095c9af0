"""Policy from macOS managed preferences, where an MDM's configuration profile ends up.

Responsible for property lists under ``/Library/Managed Preferences``; the system writes them as
root from the profiles that are installed.  Not run on macOS yet: tested on property lists as files.
Invariant: a property list that holds anything but policy is an error.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from pathlib import Path
from typing import Any

from hivekeep.policy.layers import Layer, Level, parse_data, unusable
from hivekeep.policy.trusted_files import exists, read_file

DOMAIN = "org.hivekeep.hivekeep"
RECOMMENDED = "recommended"
MANAGED_PREFERENCES = Path("/Library/Managed Preferences")


def preference_files(user: str, folder: Path = MANAGED_PREFERENCES) -> tuple[Path, ...]:
    """The property lists of the machine and of ``user``."""
    return (folder / f"{DOMAIN}.plist", folder / user / f"{DOMAIN}.plist")


def preference_layers(path: Path, owners: Collection[int]) -> list[Layer]:
    """The layers of one property list; none if it does not exist.

    :raises PolicyInvalidError: if it exists and cannot be used.
    """
    return parse_preferences(read_file(path, owners), str(path)) if exists(path) else []


def parse_preferences(raw: bytes, source: str) -> list[Layer]:
    """The mandatory layer of a property list, and the recommended one if it has such.

    :raises PolicyInvalidError: if it is no property list, or no policy.
    """
    data = _load(raw, source)
    # Of a profile's own description the system may leave these behind.
    data = {key: value for key, value in data.items() if not key.startswith("Payload")}
    recommended = data.pop(RECOMMENDED, None)
    layers = [parse_data(data, Level.MANDATORY, source)]
    if recommended is not None:
        layers.append(parse_data(recommended, Level.RECOMMENDED, f"{source} ({RECOMMENDED})"))
    return layers


def _load(raw: bytes, source: str) -> dict[str, Any]:
    # A parser of XML, which most machines never need.
    import plistlib
    from xml.parsers.expat import ExpatError

    try:
        data = plistlib.loads(raw)
    except (
        ExpatError, ValueError, ArithmeticError, LookupError, RecursionError, TypeError,
        AttributeError, EOFError, struct.error,
    ) as error:  # fmt: skip
        # What plistlib raises on damaged input is not documented; fuzzing found these.
        raise unusable(source, f"It is no property list: {error}.") from error
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise unusable(source, "It is no dictionary.")
    return data
