"""What the swarm needs from outside, as narrow protocols.

The daemon passes in the real ones; tests pass scripted ones.  Invariant: nothing in the swarm
touches a file, a process or the clock except through these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from hivekeep.domain.actions import Action
from hivekeep.domain.documents import Document
from hivekeep.domain.errors import UsageError
from hivekeep.domain.fields import FieldSpec, Plan
from hivekeep.domain.inference import FinishEvent, GenerateRequest
from hivekeep.domain.report import RunReport
from hivekeep.domain.values import DocumentResult
from hivekeep.journal import Event
from hivekeep.swarm.answers import Answer
from hivekeep.swarm.executors.local import LocalExecutor
from hivekeep.swarm.verification import Context


class DocumentReader(Protocol):
    """Reads one document in a process that may die."""

    async def read(self, path: Path, *, expected_sha256: str = "") -> Document:
        """:raises DocumentError: with a stable reason."""
        ...


class Computing(Protocol):
    """Does the pure work on documents; ``cluster`` is where they travel for it, empty: nowhere."""

    @property
    def cluster(self) -> str:
        """``host:port`` as policy knows it."""
        ...

    async def check(
        self,
        plan: Plan,
        document: Document,
        first: Answer,
        second: Answer | None = None,
        *,
        context: Context | None = None,
    ) -> DocumentResult:
        """The checked values of one document; doing it twice is harmless.

        ``context`` is what is known of the document here, for those who compute here.
        """
        ...


class Executor(DocumentReader, Computing, Protocol):
    """Another place where documents are read and answers checked."""


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
    a link that is changed in between leads nowhere.  ``known_fields`` gives the fields that
    recipes describe: a free request's plan takes over their labels.
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
    computing: Computing = field(default_factory=LocalExecutor)
    executors: Mapping[str, Executor] | None = None
    known_fields: Callable[[], tuple[FieldSpec, ...]] = tuple

    def on(self, executor: str) -> Ports:
        """These ports with reading and checking done by ``executor``; here, if it is empty.

        Without ``executors``, as in a replay, everything is done here.

        :raises UsageError: if it is not set up.
        """
        if not executor or self.executors is None:
            return self
        found = self.executors.get(executor)
        if found is None:
            raise UsageError(
                f"The executor '{executor}' is not set up.",
                next_step="docs/outgrowing-one-machine.md says how.",
            )
        return replace(self, reader=found, computing=found)
