"""Where one profile keeps its files.

Responsible for paths only.  Invariant: everything of a profile lies under one folder that only its
owner may enter, except models, which are shared in the user's cache.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from hivekeep.domain.errors import StorageError

# sun_path is 108 bytes on Linux and 104 on macOS, including the closing zero.
_MAX_SOCKET_PATH = 100


@dataclass(frozen=True, slots=True)
class Profile:
    """The paths of one profile."""

    root: Path

    @classmethod
    def locate(cls, chosen: Path | None = None) -> Profile:
        """The profile at ``chosen``, else ``$HIVEKEEP_HOME``, else the user's data folder."""
        if chosen is None:
            home = os.environ.get("HIVEKEEP_HOME")
            chosen = Path(home) if home else Path(platformdirs.user_data_dir("hivekeep"))
        return cls(chosen.expanduser().absolute())

    def create(self) -> None:
        """Make the folders, closed to others.

        :raises StorageError: if that is not possible.
        """
        try:
            for folder in (self.root, self.audit, self.results, self.logs, self.recipes):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.root.chmod(0o700)
        except OSError as error:
            raise StorageError(
                "The profile folder cannot be made.",
                why=f"{self.root}: {error.strerror}.",
                next_step="Choose another with --profile DIR or HIVEKEEP_HOME.",
            ) from error

    @property
    def id(self) -> str:
        """A short stable name of this profile, used to tell keys in a shared keyring apart."""
        return hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]

    @property
    def journal(self) -> Path:
        """The run journal."""
        return self.root / "journal.db"

    @property
    def answers(self) -> Path:
        """Answers of models, kept so that none is computed twice."""
        return self.root / "answers.db"

    @property
    def inventory(self) -> Path:
        """What is known of watched folders' files."""
        return self.root / "inventory.db"

    @property
    def watches(self) -> Path:
        """The watched folders."""
        return self.root / "watches.json"

    @property
    def schedules(self) -> Path:
        """Runs by the clock; absent until there is one."""
        return self.root / "schedules.db"

    @property
    def remotes(self) -> Path:
        """The remote models; their keys are in the key store."""
        return self.root / "remotes.json"

    @property
    def mcp(self) -> Path:
        """The MCP servers and the tools that were agreed to."""
        return self.root / "mcp.json"

    @property
    def audit(self) -> Path:
        """The audit log's segments."""
        return self.root / "audit"

    @property
    def results(self) -> Path:
        """Where deliverables go unless the user says otherwise."""
        return self.root / "results"

    @property
    def recipes(self) -> Path:
        """The user's own recipes."""
        return self.root / "recipes"

    @property
    def policy(self) -> Path:
        """The user's own policy settings."""
        return self.root / "policy.json"

    @property
    def cluster(self) -> Path:
        """How to reach a Ray cluster, if the profile has one."""
        return self.root / "cluster.json"

    @property
    def logs(self) -> Path:
        """Diagnostic logs; they never contain document text."""
        return self.root / "logs"

    @property
    def lock(self) -> Path:
        """Held by the running daemon."""
        return self.root / "daemon.lock"

    @property
    def socket(self) -> Path:
        """The local API's socket, in a folder that only the owner may enter."""
        direct = self.root / "daemon.sock"
        if len(os.fsencode(direct)) <= _MAX_SOCKET_PATH:
            return direct
        base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
        return Path(base) / f"hivekeep-{os.getuid()}" / f"{self.id}.sock"

    @staticmethod
    def models() -> Path:
        """Where models are kept, shared by all profiles of the user."""
        chosen = os.environ.get("HIVEKEEP_MODELS_DIR")
        return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("hivekeep")) / "models"
