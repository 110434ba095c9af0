"""Writing policy files for tests."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hivekeep.policy import Policy, PolicySources, load_policy

OWNERS = frozenset({0, os.getuid()})


@dataclass(frozen=True)
class Desk:
    """The policy files of one made-up machine."""

    root: Path

    @property
    def sources(self) -> PolicySources:
        return PolicySources(
            self.root / "managed",
            self.root / "recommended",
            self.root / "policy.json",
            bundle=self.root / "policy.bundle",
            keys=self.root / "keys",
            state=self.root / "state" / "policy.json",
            contact=self.root / "contact",
            owners=OWNERS,
        )

    def managed(self, content: Any, name: str = "10-base.json") -> Path:
        return self._write(self.sources.managed / name, content)

    def recommended(self, content: Any, name: str = "10-base.json") -> Path:
        return self._write(self.sources.recommended / name, content)

    def user(self, content: Any) -> Path:
        return self._write(self.root / "policy.json", content)

    def load(self) -> Policy:
        return load_policy(self.sources)

    def _write(self, path: Path, content: Any) -> Path:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)
        return path


def load(scratch: Path, *, managed: list[Any] | None = None, user: Any = None) -> Policy:
    """A policy from these contents."""
    desk = Desk(scratch)
    for number, content in enumerate(managed or []):
        desk.managed(content, f"{number:02d}.json")
    if user is not None:
        desk.user(user)
    return desk.load()
