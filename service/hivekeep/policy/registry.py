r"""Policy from the Windows registry, where Group Policy and MDM put it.

Responsible for reading ``Software\Policies\Hivekeep`` of machine and user; the values look as the
ADMX template writes them.  Not run on Windows yet: the reader of the real registry is written to
``winreg``'s documentation, everything else is tested with a made-up registry.  Invariant: a value
of an unexpected name or type is an error, not a setting that is silently not in force.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from hivekeep.policy.keys import Key, Shape, keys
from hivekeep.policy.layers import Layer, Level, parse_data, unusable

POLICY_KEY = r"Software\Policies\Hivekeep"
RECOMMENDED = "Recommended"


class Hive(StrEnum):
    """The two places that policy can be assigned to, the stronger one first."""

    MACHINE = "HKEY_LOCAL_MACHINE"
    USER = "HKEY_CURRENT_USER"


@dataclass(frozen=True, slots=True)
class RegistryKey:
    """One key of the registry: its values, and its subkeys by name."""

    values: Mapping[str, int | str]
    subkeys: Mapping[str, RegistryKey]


class RegistryReader(Protocol):
    """Where the registry comes from."""

    def read(self, hive: Hive, path: str) -> RegistryKey | None:
        """The key at ``path`` with all below it; ``None`` if there is none.

        :raises OSError: if it exists but cannot be read.
        """
        ...


def registry_layers(reader: RegistryReader) -> list[Layer]:
    """Mandatory layers of machine and user, then the recommended ones.

    Group Policy's keys can only be written by administrators, so no ownership is checked.

    :raises PolicyInvalidError: if any value cannot be used.
    """
    mandatory: list[Layer] = []
    recommended: list[Layer] = []
    for hive in Hive:
        source = f"{hive.value}\\{POLICY_KEY}"
        try:
            key = reader.read(hive, POLICY_KEY)
        except OSError as error:
            raise unusable(source, f"{error}.") from error
        if key is None:
            continue
        below = {name: sub for name, sub in key.subkeys.items() if name != RECOMMENDED}
        mandatory.append(_layer(RegistryKey(key.values, below), Level.MANDATORY, source))
        if RECOMMENDED in key.subkeys:
            name = f"{source}\\{RECOMMENDED}"
            recommended.append(_layer(key.subkeys[RECOMMENDED], Level.RECOMMENDED, name))
    # Of recommended layers the last one counts, and the machine's is the stronger one.
    return mandatory + recommended[::-1]


def _layer(key: RegistryKey, level: Level, source: str) -> Layer:
    known = {found.id: found for found in keys()}
    data: dict[str, dict[str, Any]] = {}
    if key.values:
        raise unusable(source, f"There is no key '{next(iter(key.values))}'.")
    for section, found in key.subkeys.items():
        stated: dict[str, Any] = {}
        for name, value in found.values.items():
            stated[name] = _scalar(known.get(f"{section}.{name}"), value)
        for name, entries in found.subkeys.items():
            stated[name] = _entries(entries)
        data[section] = stated
    return parse_data(data, level, source)


def _scalar(key: Key | None, value: int | str) -> Any:
    """Switches are DWORDs of 0 and 1; anything else is left for the schema to judge."""
    if key is not None and key.shape is Shape.SWITCH and value in (0, 1):
        return bool(value)
    return value


def _entries(key: RegistryKey) -> list[Any]:
    """A list is a subkey with a value for each entry, numbered by the template from 1."""
    names = sorted(key.values, key=lambda name: (not name.isdecimal(), name.zfill(20)))
    return [key.values[name] for name in names]


if sys.platform == "win32":
    import winreg

    _HIVES = {Hive.MACHINE: winreg.HKEY_LOCAL_MACHINE, Hive.USER: winreg.HKEY_CURRENT_USER}
    _TEXTS_AND_NUMBERS = (winreg.REG_SZ, winreg.REG_DWORD, winreg.REG_QWORD)

    class WindowsRegistry:
        """The registry of this machine, in the view of 64-bit programs."""

        def read(self, hive: Hive, path: str) -> RegistryKey | None:
            """The key at ``path`` with all below it."""
            try:
                access = winreg.KEY_READ | winreg.KEY_WOW64_64KEY
                opened = winreg.OpenKey(_HIVES[hive], path, 0, access)
            except FileNotFoundError:
                return None
            with opened:
                subkeys, values, _ = winreg.QueryInfoKey(opened)
                names = [winreg.EnumKey(opened, index) for index in range(subkeys)]
                found = [winreg.EnumValue(opened, index) for index in range(values)]
            for name, _, kind in found:
                if kind not in _TEXTS_AND_NUMBERS:
                    raise OSError(f"the value '{name}' of {path} has registry type {kind}")
            below = {name: self.read(hive, f"{path}\\{name}") for name in names}
            return RegistryKey(
                {name: value for name, value, _ in found},
                {name: key for name, key in below.items() if key is not None},
            )
