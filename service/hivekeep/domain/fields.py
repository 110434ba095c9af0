"""What a recipe asks for: typed fields, the checks between them, and the plan an agent follows.

These are plain data compiled from a recipe file by ``hivekeep.recipes``; the swarm works from
them without knowing that recipes exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hivekeep.domain.budgets import RunLimits


class FieldType(StrEnum):
    """The types a value can have; each has one normal form (see ``domain.values``)."""

    TEXT = "text"
    IDENTIFIER = "identifier"
    NAME = "name"
    DATE = "date"
    AMOUNT = "amount"
    NUMBER = "number"
    INTEGER = "integer"
    CURRENCY = "currency"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    PROSE = "prose"
    ROWS = "rows"


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field of a recipe.

    ``description`` is shown to the model and to people.  ``aliases`` are words that label the field
    in documents, in any language; they steer which blocks are sent and help to check a value.
    ``choices`` belong to ``CHOICE``; ``columns`` belong to ``ROWS``.  ``grounded`` false means the
    value is the model's own wording or judgement (a summary, a class) and is not searched for in
    the document.  ``max_length`` bounds strings, in characters.
    """

    name: str
    type: FieldType
    title: str = ""
    description: str = ""
    aliases: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    columns: tuple[FieldSpec, ...] = ()
    required: bool = False
    grounded: bool = True
    max_length: int = 200
    max_rows: int = 60


@dataclass(frozen=True, slots=True)
class SumCheck:
    """``sum(terms) == total`` within ``tolerance``; a term may be ``rows.column`` (summed).

    The check applies only where every named value is present.
    """

    terms: tuple[str, ...]
    total: str
    tolerance: str = "0.02"


@dataclass(frozen=True, slots=True)
class OrderCheck:
    """``earlier <= later`` for two dates or two numbers, where both are present."""

    earlier: str
    later: str


class FileActionKind(StrEnum):
    """What a recipe may do with its input file; nothing by default."""

    NONE = "none"
    COPY = "copy"
    MOVE = "move"


@dataclass(frozen=True, slots=True)
class FileAction:
    """Put the input into ``root``/<value of ``folder_field``>; only if policy allows it too."""

    kind: FileActionKind = FileActionKind.NONE
    root: str = ""
    folder_field: str = ""


class PlanKind(StrEnum):
    """How a sub-agent works on one document."""

    EXTRACT = "extract"
    SUMMARIZE = "summarize"
    ASK = "ask"
    """A free request that a model turns into tasks; no recipe has this kind."""


@dataclass(frozen=True, slots=True)
class Vote:
    """Answer each question ``samples`` times with different seeds and take the majority."""

    samples: int = 3
    temperature: float = 0.6


@dataclass(frozen=True, slots=True)
class SecondLook:
    """Have stated values judged once more, by another prompt or another ``model``."""

    model: str = ""
    instructions: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """A piece of a document and what stands in it, shown to the model before each document.

    ``document`` is text from outside: data, whoever chose it.  ``values`` are pairs of a field's
    name and its value as printed, ``None`` where the piece does not state it.
    """

    document: str
    values: tuple[tuple[str, str | int | bool | None], ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a run needs to know of its recipe, fixed when the run starts.

    ``recipe_hash`` is the SHA-256 hex digest of the recipe file, so that a changed recipe is a
    different piece of work.  ``instructions`` is the trusted prompt text.  ``context_tokens``
    bounds one prompt; ``first_look_tokens`` bounds the one that asks for everything but tables.
    ``overview`` asks for a summary over all documents, each sentence with its sources.
    With ``labels_first`` a field whose value the document's own labels state beyond doubt is not
    asked.  A ``draft_model`` answers first; ``model`` is then asked for what does not check out.
    ``examples`` stand before every document, in the part of prompts that all documents share.
    """

    recipe: str
    recipe_version: str
    recipe_hash: str
    kind: PlanKind
    title: str
    instructions: str
    fields: tuple[FieldSpec, ...]
    sums: tuple[SumCheck, ...] = ()
    orders: tuple[OrderCheck, ...] = ()
    model: str = "qwen2.5-coder-1.5b-instruct-q4_k_m"
    adapter: str = ""
    max_tokens: int = 900
    context_tokens: int = 6_000
    first_look_tokens: int = 6_000
    labels_first: bool = True
    draft_model: str = ""
    file_action: FileAction = FileAction()
    media_types: tuple[str, ...] = ()
    limits: RunLimits = RunLimits()
    vote: Vote | None = None
    second_look: SecondLook | None = None
    overview: bool = False
    examples: tuple[Example, ...] = ()
