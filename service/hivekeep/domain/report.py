"""A finished run as plain data: what deliverables are rendered from."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from hivekeep.domain.fields import FieldSpec
from hivekeep.domain.provenance import Provenance
from hivekeep.domain.runs import AgentState, Usage
from hivekeep.domain.values import CheckedValue, DocumentResult, Evidence


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one input gave no result; ``reason`` is a stable short name such as ``encrypted``."""

    reason: str
    what: str
    why: str = ""
    next_step: str = ""

    @property
    def line(self) -> str:
        """The failure as one line for a person."""
        text = " ".join(part for part in (self.what, self.why, self.next_step) if part)
        return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class DocumentOutcome:
    """What became of one input: a result, or a failure, never both."""

    path: str
    sha256: str
    size: int
    state: AgentState
    pages: int = 0
    media_type: str = ""
    result: DocumentResult | None = None
    failure: Failure | None = None
    notes: tuple[str, ...] = ()
    usage: Usage = Usage()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Source:
    """Where a sentence comes from: places in one document."""

    path: str
    sha256: str
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence of a summary over documents with what it rests on.

    Without ``sources`` nothing in the documents was found to support it, and a person has to look.
    ``provenance`` is that of everything it may have been made from.
    """

    text: str
    sources: tuple[Source, ...]
    provenance: Provenance | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """What became of one task of a free request that is not about a single document."""

    id: str
    goal: str
    state: AgentState
    values: tuple[CheckedValue, ...] = ()
    problems: tuple[str, ...] = ()
    failure: Failure | None = None
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunReport:
    """Everything a deliverable says about a run. Times are timezone-aware.

    ``overview`` sums up all documents; ``request`` and ``tasks`` belong to a free request;
    ``missing`` says in plain words what the result lacks, ``plan_note`` who made the plan.
    """

    run: str
    title: str
    recipe: str
    recipe_version: str
    recipe_hash: str
    model: str
    model_sha256: str
    started: datetime
    finished: datetime
    fields: tuple[FieldSpec, ...]
    documents: tuple[DocumentOutcome, ...]
    usage: Usage
    program_version: str
    overview: tuple[Statement, ...] = ()
    request: str = ""
    tasks: tuple[TaskOutcome, ...] = ()
    task_fields: tuple[FieldSpec, ...] = ()
    missing: tuple[str, ...] = ()
    plan_note: str = ""
