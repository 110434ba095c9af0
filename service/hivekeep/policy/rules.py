"""Lists of rules made ready for asking.

Responsible for looking up the rule that speaks of a name, a file type or a folder; not for what
follows from it.  Invariant: a look-up costs the same however many rules there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hivekeep.policy.merging import Item, Setting
from hivekeep.policy.paths import FolderIndex, canonical
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

    def holding(self, parts: list[str]) -> Item | None:
        """The rule whose folder holds the path with these components."""
        return None if self.folders is None else self.folders.find(parts)


def folder_rules(setting: Setting, *, as_written: bool = False) -> RuleList:
    """Rules about folders; ``as_written`` also keeps a path that leads through a symlink."""
    if setting.items is None:
        return RuleList(setting.key, setting.source, anything=True)
    pairs = [
        (path, item)
        for item in setting.items
        for path in canonical(item.value)[: 2 if as_written else 1]
    ]
    return RuleList(setting.key, setting.source, anything=False, folders=FolderIndex(pairs))


def type_rules(setting: Setting) -> RuleList:
    """Rules about file types, looked up by suffix."""
    found: dict[str, Item] = {}
    for item in setting.items or ():
        for suffix in suffixes_of(item.value):
            found.setdefault(suffix, item)
    return RuleList(setting.key, setting.source, setting.items is None, found)


def name_rules(setting: Setting, *, fold: bool = False) -> RuleList:
    """Rules about names; ``fold`` ignores case."""
    found: dict[str, Item] = {}
    for item in setting.items or ():
        found.setdefault(item.value.lower() if fold else item.value, item)
    return RuleList(setting.key, setting.source, setting.items is None, found)
