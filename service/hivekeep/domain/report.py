"""A finished run as plain data: what deliverables are rendered from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hivekeep.domain.fields import FieldSpec
from hivekeep.domain.runs import AgentState, Usage
from hivekeep.domain.values import DocumentResult


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
class RunReport:
    """Everything a deliverable says about a run. Times are timezone-aware."""

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
