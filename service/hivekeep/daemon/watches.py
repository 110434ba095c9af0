"""The watched folders a user has set up, kept in one small file.

Responsible for remembering them; watching is ``hivekeep.triggers``.  Invariant: the file is
replaced as a whole, so a kill leaves the old or the new list, never half of one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from hivekeep.domain.errors import ConfigError, StorageError
from hivekeep.journal import decode, encode
from hivekeep.triggers import WatchConfig


class WatchRegistry:
    """The list of watched folders in ``path``.

    :raises ConfigError: if the file exists and is not such a list.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._configs = self._load()

    @property
    def configs(self) -> tuple[WatchConfig, ...]:
        """All watched folders, oldest first."""
        return tuple(self._configs.values())

    def add(self, config: WatchConfig) -> None:
        """Remember one more."""
        self._save({**self._configs, config.id: config})

    def remove(self, watch: str) -> None:
        """Forget one."""
        self._save({key: value for key, value in self._configs.items() if key != watch})

    def _load(self) -> dict[str, WatchConfig]:
        try:
            data: list[dict[str, Any]] = json.loads(self._path.read_text(encoding="utf-8"))
            configs = [decode(WatchConfig, item) for item in data]
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError) as error:
            raise ConfigError(
                "The list of watched folders cannot be read.",
                why=f"{self._path}: {error}.",
                next_step="Repair the file or move it away and add the folders again.",
            ) from error
        return {config.id: config for config in configs}

    def _save(self, configs: dict[str, WatchConfig]) -> None:
        temporary = self._path.with_suffix(".new")
        try:
            with temporary.open("w", encoding="utf-8") as file:
                json.dump([encode(config) for config in configs.values()], file, indent=2)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
        except OSError as error:
            raise StorageError(
                "The list of watched folders cannot be saved.",
                why=f"{self._path}: {error.strerror}.",
            ) from error
        self._configs = configs
