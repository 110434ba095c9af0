"""Which printed label belongs to a value, and how surely.

Responsible for the words before a value, the cells to its left and the heading of its column; not
for finding values.  Invariant: a label deep inside a sentence, or one that another value is closer
to, never counts as fully as one that announces the value.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from hivekeep.swarm.verification.labels import Label, Vocabulary
from hivekeep.swarm.verification.layout import Layout, Line

NUMBERED, SAME_LINE, LEFT_CELL, ABOVE, LOOSE = 3.5, 3.0, 2.5, 2.0, 1.0
# The share of a heading's characters that its labels make up.
HEADING_SHARE = 0.6
_MOST_CELLS = 4
_TRAILING = 14
_NEAR = 40
_INCLUDING = re.compile(
    r"(?:\b(?:incl\w*|inkl\w*|inc|with|mit|avec|con)\b|含)[.\s(]*(?:of |de |the |in )?[\d\s%]*$",
    re.IGNORECASE,
)
_EXCLUDING = re.compile(
    r"(?:\b(?:excl\w*|exkl\w*|ex|before|without|ohne|hors|sans|sin)\b|不含)[.\s(]*(?:of |de )?$",
    re.IGNORECASE,
)
_OF = re.compile(r"\b(?:vom|von|dated|date|of|du|del|della|van|dd\.?|le)\s*:?\s*$", re.IGNORECASE)
_NUMBERED = re.compile(r"(?:\bnr\b|\bno\b|\bnumber\b|\bnummer\b|n[°º]|№|#)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Association:
    """What the words beside a value say it is: ``owners`` are fields, ``other`` something else."""

    owners: frozenset[str] = frozenset()
    other: str = ""
    strength: float = 0.0
    weight: int = 0

    def score(self, field: str) -> float:
        """How much this speaks for the value being ``field``'s; negative if against."""
        if not self.strength:
            return 0.0
        return self.strength if field in self.owners else -self.strength

    def weaker(self) -> Association:
        """The same label, not sure to belong to the value."""
        return replace(self, strength=min(self.strength, LOOSE))


class Associations:
    """Finds the labels of one document's values."""

    def __init__(self, layout: Layout, vocabulary: Vocabulary) -> None:
        self._layout = layout
        self._vocabulary = vocabulary

    def of(self, line: Line, start: int) -> Association:
        """What labels the value that begins at character ``start`` of ``line``."""
        before = [label for label in self._vocabulary.labels(line.text) if label.end <= start]
        if before:
            label = _effective(line.text, before)
            gap = start - before[-1].end
            # A label begins its line; deep inside a sentence the same word labels nothing.
            begins = sum(char.isalpha() for char in line.text[: label.start]) <= _NEAR
            return _association(label, SAME_LINE if gap <= _NEAR and begins else LOOSE)
        crossed = 0
        for cell, _ in zip(self._layout.left_of(line), range(_MOST_CELLS), strict=False):
            labels = self._vocabulary.labels(cell.text)
            if labels:
                column = self._column(line) if crossed else None
                label = _effective(cell.text, labels)
                beside = not crossed and _announces(cell.text, label)
                return column or _association(label, LEFT_CELL if beside else LOOSE)
            crossed += any(char.isdigit() for char in cell.text)
        return self._column(line) or Association()

    def of_date(self, line: Line, start: int) -> Association:
        """As ``of``, but "Invoice no. 7 of 3 May" dates the invoice, not its number."""
        before = line.text[:start]
        if _OF.search(before) and (number := _NUMBERED.search(before)):
            labels = self._vocabulary.labels(before[: number.start()])
            if labels:
                return _association(labels[-1], SAME_LINE)
        return self.of(line, start)

    def _column(self, line: Line) -> Association | None:
        for distance, cell in enumerate(self._layout.above(line, reach=2)):
            labels = self._vocabulary.labels(cell.text)
            # A heading says what stands below it; a sentence that mentions a label does not.
            covered = sum(label.end - label.start for label in labels)
            if labels and covered >= HEADING_SHARE * len(cell.text.strip(" :")):
                return _association(labels[-1], ABOVE if not distance else LOOSE)
        return None


def _announces(text: str, label: Label) -> bool:
    """Whether a cell is a label for its neighbour: mostly label, or ending in it."""
    rest = text[label.end :].strip(" .:*")
    return len(rest) <= _TRAILING or label.end - label.start >= 0.5 * len(text.strip(" :"))


def _effective(text: str, labels: Sequence[Label]) -> Label:
    """Which of several labels in a row counts: in "Total (incl. VAT)" it is the total."""
    chosen = labels[0]
    for before, label in pairwise(labels):
        between = text[before.end : label.start]
        if _EXCLUDING.search(between):
            chosen = Label(before.start, label.end, frozenset(), "amount before tax", label.weight)
        elif not _INCLUDING.search(between):
            chosen = label
    return chosen


def _association(label: Label, strength: float) -> Association:
    return Association(label.owners, label.other, strength, label.weight)
