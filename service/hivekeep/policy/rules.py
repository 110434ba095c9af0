"""Lists of rules made ready for asking.

Responsible for looking up the rule that speaks of a name, a file type, a host or a folder; not for
what follows from it.  Invariant: a look-up costs the same however many rules there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hivekeep.policy.markers import Allow, Demand, Deny, ItemKind
from hivekeep.policy.merging import Item, Setting
from hivekeep.policy.paths import FolderIndex, canonical
from hivekeep.policy.schema import markers
from hivekeep.policy.types import suffixes_of


@dataclass(frozen=True, slots=True)
class RuleList:
    """The list of one key; ``anything`` is true where the key sets no limit."""

    key: str
    source: str
    anything: bool
    names: Mapping[str, Item] = field(default_factory=dict)
    folders: FolderIndex[Item] | None = None

    def find(self, name: str) -> Item | None:
        """The rule that names ``name``."""
        return self.names.get(name)

    def first_of(self, names: Iterable[str]) -> Item | None:
        """The rule that names the earliest of ``names`` that any rule names."""
        for name in names:
            found = self.names.get(name)
            if found is not None:
                return found
        return None

    def holding(self, parts: list[str]) -> Item | None:
        """The rule whose folder holds the path with these components."""
        return None if self.folders is None else self.folders.find(parts)

    def below(self, parts: list[str]) -> Item | None:
        """A rule whose folder lies in the folder with these components, or is it."""
        return None if self.folders is None else self.folders.below(parts)


class Rulebook:
    """Every key in force, its list made ready."""

    def __init__(self, settings: Mapping[str, Setting]) -> None:
        self._settings = dict(settings)
        self._lists = {
            key: _prepare(self._settings[key], marker)
            for key, marker in markers().items()
            if isinstance(marker, (Allow, Deny, Demand))
        }

    def setting(self, key: str) -> Setting:
        """A limit, choice or text."""
        return self._settings[key]

    def rules(self, key: str) -> RuleList:
        """A list."""
        return self._lists[key]


def _prepare(setting: Setting, marker: Allow | Deny | Demand) -> RuleList:
    if setting.items is None:
        return RuleList(setting.key, setting.source, anything=True)
    if marker.kind is ItemKind.FOLDER:
        # A denied folder is denied under both of its names, an allowed one only where it really is.
        names = 2 if isinstance(marker, Deny) else 1
        pairs = [(path, item) for item in setting.items for path in canonical(item.value)[:names]]
        index = FolderIndex(pairs, wide=isinstance(marker, Deny))
        return RuleList(setting.key, setting.source, anything=False, folders=index)
    found: dict[str, Item] = {}
    for item in setting.items:
        for name in _names(marker.kind, item.value):
            found.setdefault(name, item)
    return RuleList(setting.key, setting.source, anything=False, names=found)


def _names(kind: ItemKind, value: str) -> Iterable[str]:
    if kind is ItemKind.TYPE:
        return suffixes_of(value)
    return (value.lower(),) if kind is ItemKind.HOST else (value,)
