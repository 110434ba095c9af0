"""What the swarm needs from outside, as narrow protocols.

The daemon passes in the real ones; tests pass scripted ones.  Invariant: nothing in the swarm
touches a file, a process or the clock except through these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hivekeep.domain.actions import Action
from hivekeep.domain.documents import Document
from hivekeep.domain.inference import FinishEvent, GenerateRequest
from hivekeep.domain.report import RunReport
from hivekeep.journal import Event


class DocumentReader(Protocol):
    """Reads one document in a process that may die."""

    async def read(self, path: Path, *, expected_sha256: str = "") -> Document:
        """:raises DocumentError: with a stable reason."""
        ...


class Completer(Protocol):
    """Answers one inference request."""

    async def complete(self, request: GenerateRequest) -> FinishEvent:
        """:raises EngineError: if the request failed for good."""
        ...


class Gate(Protocol):
    """Policy and audit in one place: nothing with an effect passes without both."""

    async def require(self, action: Action, *, run: str, agent: str) -> str:
        """Decide, record the decision, and return the rule that allowed it.

        :raises PolicyDeniedError: if policy forbids the action.
        """
        ...

    async def record(
        self, action: str, *, run: str, agent: str, subject: str, outcome: str, **detail: Any
    ) -> None:
        """Write one audit record; it is durable when this returns."""
        ...


class Publisher(Protocol):
    """Renders a report and puts it where the user finds it, in two steps around the journal."""

    def prepare(self, report: RunReport, folder: Path) -> list[dict[str, Any]]:
        """Write temporary files and describe them; nothing is visible yet."""
        ...

    def publish(self, prepared: dict[str, Any]) -> Path:
        """Make one prepared file visible; calling it again after a crash is harmless."""
        ...


class FileMover(Protocol):
    """Copies or moves an input for a recipe that says so, in two steps around the journal."""

    def prepare(self, kind: str, source: Path, target: Path, sha256: str) -> dict[str, Any]:
        """Choose the final target and describe the action; nothing is changed yet."""
        ...

    def perform(self, prepared: dict[str, Any]) -> Path:
        """Do it; calling it again after a crash is harmless."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """What runs may use: ``agents`` alive at once, ``steps`` of one run, ``depth`` of agents.

    An agent for a document or a task has depth 1, one that it starts has depth 2.
    """

    agents: int = 300
    steps: int = 4_000
    depth: int = 3


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything the coordinator is composed with.

    ``resolve`` gives a path without symbolic links.  What it gave is judged and then used, so that
    a link that is changed in between leads nowhere.
    """

    reader: DocumentReader
    engine: Completer
    gate: Gate
    publisher: Publisher
    mover: FileMover
    monotonic: Callable[[], float]
    new_id: Callable[[], str]
    observe: Callable[[Event], None] = field(default=lambda _event: None)
    resolve: Callable[[str], str] = field(default=lambda path: path)
    program_version: str = ""
