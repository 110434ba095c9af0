"""Downloads of models that were started from the window.

Responsible for starting the command that downloads and for telling how it ended; how far it is, the
daemon sees in the model folder.  Invariant: a download goes on when the window is closed.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO, Any


@dataclass
class Pulls:
    """The downloads of one process. ``program`` is the command line's own beginning."""

    program: Sequence[str]
    _started: dict[str, tuple[subprocess.Popen[bytes], IO[bytes]]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """Begin to download a model; once is enough.

        :raises OSError: if the command cannot be started.
        """
        known = self._started.get(name)
        if known is not None and known[0].poll() is None:
            return
        # A file, not a pipe: it is still there for the command when the window's process ends.
        said = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the command
        process = subprocess.Popen(  # noqa: S603 - our own program
            [*self.program, "models", "pull", name, "--yes", "--json"],
            stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        self._started[name] = (process, said)

    def states(self) -> dict[str, dict[str, Any]]:
        """By model: ``running``, ``done`` or ``failed``, then with the error."""
        return {name: _state(*started) for name, started in self._started.items()}


def _state(process: subprocess.Popen[bytes], said: IO[bytes]) -> dict[str, Any]:
    if process.poll() is None:
        return {"state": "running", "error": None}
    if process.returncode == 0:
        return {"state": "done", "error": None}
    said.seek(0)
    try:
        error = json.loads(said.read())["error"]
    except (ValueError, KeyError, TypeError):
        error = {"what": "The download ended before it was complete.",
                 "why": f"Exit status {process.returncode}.",
                 "next": "Start it again; it goes on where it stopped."}  # fmt: skip
    return {"state": "failed", "error": error}
