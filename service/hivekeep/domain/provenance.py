"""Where a value comes from, and how far that may be trusted.

Responsible for the lattice of labels and origins: a value that was made from others carries the
join of theirs.  It decides nothing; policy and grants do.  Invariant: joining never makes anything
more trusted, and the least trusted origin is never the one that is left out.

Denning, "A lattice model of secure information flow" (CACM 1976), turned around: what is bounded
here is not who may learn a value but what may be done on its word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from hivekeep.domain.actions import Label

MOST_ORIGINS = 32
"""Origins that are kept by name; a journal entry must not grow with the number of documents."""
MOST_QUOTE = 280
"""Characters of a passage that are kept with its origin."""

_RANK = {Label.TRUSTED: 0, Label.INTERNAL: 1, Label.UNTRUSTED: 2}

T = TypeVar("T")
R = TypeVar("R")


class OriginKind(StrEnum):
    """What kind of place a value came from."""

    USER = "user"
    RECIPE = "recipe"
    PROGRAM = "program"
    DOCUMENT = "document"
    MAIL = "mail"
    WEB = "web"
    FILE_NAME = "file_name"
    MCP = "mcp"
    TOOL = "tool"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class Origin:
    """One place: ``name`` says which (a path, an address), ``place`` where in it.

    ``quote`` is the passage itself, at most ``MOST_QUOTE`` characters, for a person who has to
    decide; ``sha256`` identifies the content that was read.
    """

    label: Label
    kind: OriginKind
    name: str
    place: str = ""
    quote: str = ""
    sha256: str = ""

    def __post_init__(self) -> None:
        if len(self.quote) > MOST_QUOTE:
            object.__setattr__(self, "quote", self.quote[: MOST_QUOTE - 1] + "…")

    @property
    def _order(self) -> tuple[int, str, str, str, str, str]:
        """The least trusted first, so that a bounded list keeps what matters."""
        return (-_RANK[self.label], self.kind, self.name, self.place, self.quote, self.sha256)


@dataclass(frozen=True, slots=True)
class Provenance:
    """The label of a value and where it came from; build it with :func:`of` and :meth:`join`.

    ``more`` is true if origins were left out.
    """

    label: Label = Label.TRUSTED
    origins: tuple[Origin, ...] = ()
    more: bool = False

    def join(self, other: Provenance) -> Provenance:
        """The provenance of something made from both: the less trusted label, all origins."""
        every = sorted({*self.origins, *other.origins}, key=lambda origin: origin._order)
        return Provenance(
            label=least_trusted(self.label, other.label),
            origins=tuple(every[:MOST_ORIGINS]),
            more=self.more or other.more or len(every) > MOST_ORIGINS,
        )

    @property
    def untrusted(self) -> bool:
        """Whether anybody outside could have chosen a part of it."""
        return self.label is Label.UNTRUSTED

    def untrusted_origins(self) -> tuple[Origin, ...]:
        """What an approval has to show: the passages that nobody vouches for."""
        return tuple(origin for origin in self.origins if origin.label is Label.UNTRUSTED)


TRUSTED = Provenance()
"""What the user, a recipe or the program itself said; the neutral element of ``join``."""


UNKNOWN = Provenance(Label.UNTRUSTED)
"""What nobody said the origin of, as in records that are older than labels on values."""


def of(*origins: Origin) -> Provenance:
    """The provenance of a value that came from these places."""
    return join_all(Provenance(origin.label, (origin,)) for origin in origins)


def join_all(parts: Iterable[Provenance]) -> Provenance:
    """The join of all ``parts``; of none: trusted."""
    joined = TRUSTED
    for part in parts:
        joined = joined.join(part)
    return joined


def least_trusted(*labels: Label) -> Label:
    """The label that the combination of values with these labels has."""
    return max(labels, key=_RANK.__getitem__, default=Label.TRUSTED)


def at_least_as_trusted(one: Label, other: Label) -> bool:
    """Whether ``one`` may stand wherever ``other`` may."""
    return _RANK[one] <= _RANK[other]


@dataclass(frozen=True, slots=True)
class Labelled(Generic[T]):
    """A value that carries its provenance through whatever is made of it."""

    value: T
    provenance: Provenance = field(default=TRUSTED)

    def map(self, change: Callable[[T], R]) -> Labelled[R]:
        """``change`` applied to the value; the provenance stays."""
        return Labelled(change(self.value), self.provenance)

    def with_(self, other: Labelled[R]) -> Labelled[tuple[T, R]]:
        """Both values as one, with the join of their provenances."""
        return Labelled((self.value, other.value), self.provenance.join(other.provenance))
