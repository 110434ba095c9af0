"""The interface's own settings: language, theme, notifications, quiet hours.

Responsible for one small JSON file; nothing in it changes what Hivekeep may do.  Invariant: a file
that cannot be read counts as the defaults, and what is saved has passed ``checked``.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, replace
from datetime import datetime, time
from pathlib import Path
from typing import Any

_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_CHOICES = {
    "language": ("auto", "en", "zh-CN"),
    "theme": ("auto", "light", "dark"),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """``quiet_from`` and ``quiet_to`` are ``HH:MM`` in local time; empty means no quiet hours."""

    language: str = "auto"
    theme: str = "auto"
    notifications: bool = True
    do_not_disturb: bool = False
    quiet_from: str = ""
    quiet_to: str = ""
    popup: bool = True
    welcomed: bool = False
    drop_folder: str = ""
    recipe: str = "invoices"

    def silent(self, now: datetime) -> bool:
        """Whether nothing may come up by itself at ``now``; the icon's count always does."""
        if self.do_not_disturb:
            return True
        if not (self.quiet_from and self.quiet_to):
            return False
        begin, end = time.fromisoformat(self.quiet_from), time.fromisoformat(self.quiet_to)
        moment = now.time()
        if begin <= end:
            return begin <= moment < end
        return moment >= begin or moment < end


def checked(changes: dict[str, Any], settings: Settings) -> Settings:
    """``settings`` with ``changes``.

    :raises ValueError: if a key is unknown or a value is none of its possible ones.
    """
    known = asdict(settings)
    for key, value in changes.items():
        if key not in known or type(value) is not type(known[key]):
            raise ValueError(f"{key}: not a setting, or of another kind")
        if key in _CHOICES and value not in _CHOICES[key]:
            raise ValueError(f"{key}: not one of {', '.join(_CHOICES[key])}")
        if key.startswith("quiet_") and value and not _CLOCK.fullmatch(value):
            raise ValueError(f"{key}: not a time such as 22:00")
    return replace(settings, **changes)


class SettingsFile:
    """The settings in ``path``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Settings:
        """What is set; defaults for the rest."""
        try:
            return checked(json.loads(self._path.read_text(encoding="utf-8")), Settings())
        except (OSError, ValueError, AttributeError):
            return Settings()

    def save(self, changes: dict[str, Any]) -> Settings:
        """Change some.

        :raises ValueError: if a value cannot be; then nothing changes.
        :raises OSError: if the file cannot be written.
        """
        settings = checked(changes, self.load())
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(settings), indent=2), encoding="utf-8")
        temporary.replace(self._path)
        return settings
