"""Printed labels: which words on a page say what the value beside them is.

Responsible for finding labels, a recipe's own and well-known others, in lines of text; not for
choosing values.  Invariant: where labels overlap, the longest one counts, so that "Total tax" is
never taken for "Total".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from hivekeep.domain.fields import FieldSpec
from hivekeep.swarm.verification.lexicon import other_labels
from hivekeep.swarm.verification.text import fold, fold_mapped

_MAX_WORDS = 7
# German compounds end in the word that counts ("Mietrechnung"); shorter endings mean too much.
_MIN_SUFFIX = 8
_WORD = re.compile(r"[^\W_]+|#|№|%")


@dataclass(frozen=True, slots=True)
class Label:
    """A label at characters ``start`` to ``end`` of a line.

    ``owners`` are the fields whose label it is; ``other`` names what else it announces (for example
    ``customer number``).  ``weight`` is the number of its letters and digits: the more, the surer.
    """

    start: int
    end: int
    owners: frozenset[str]
    other: str
    weight: int


class Vocabulary:
    """All labels that matter for one plan: its fields' aliases and the well-known others."""

    def __init__(self, fields: Iterable[FieldSpec]) -> None:
        self._owners: dict[str, set[str]] = {}
        self._other: dict[str, str] = {}
        for name, phrases in other_labels().items():
            for phrase in phrases:
                for form in _forms(phrase):
                    self._other[form] = name
        for spec in fields:
            for phrase in (*spec.aliases, spec.title):
                for form in _forms(phrase):
                    self._owners.setdefault(form, set()).add(spec.name)
        # A recipe's own word for a field is never a competing label.
        for form in self._owners:
            self._other.pop(form, None)
        self._cache: dict[str, tuple[Label, ...]] = {}

    def labels(self, text: str) -> tuple[Label, ...]:
        """The labels in ``text``, left to right, longest first where they overlap."""
        known = self._cache.get(text)
        if known is None:
            known = self._cache[text] = tuple(self._find(text))
        return known

    def _find(self, text: str) -> list[Label]:
        folded = fold_mapped(text)
        words = [(m.start(), m.end(), m.group()) for m in _WORD.finditer(folded.text)]
        hits: list[Label] = []
        for first in range(len(words)):
            joined = ""
            for last in range(first, min(first + _MAX_WORDS, len(words))):
                joined += words[last][2]
                if len(joined) > 60:
                    break
                hit = self._lookup(joined)
                offset = 0
                if hit is None and last == first:
                    hit, offset = self._suffix(joined)
                if hit is not None:
                    start, end = folded.original(words[first][0] + offset, words[last][1])
                    hits.append(Label(start, end, hit[0], hit[1], len(joined) - offset))
        hits.sort(key=lambda label: (-(label.end - label.start), label.start))
        kept: list[Label] = []
        for label in hits:
            if not any(label.start < other.end and other.start < label.end for other in kept):
                kept.append(label)
        return sorted(kept, key=lambda label: label.start)

    def _lookup(self, form: str) -> tuple[frozenset[str], str] | None:
        owners = self._owners.get(form)
        if owners:
            return frozenset(owners), ""
        other = self._other.get(form)
        return (frozenset(), other) if other else None

    def _suffix(self, word: str) -> tuple[tuple[frozenset[str], str] | None, int]:
        for offset in range(1, len(word) - _MIN_SUFFIX + 1):
            hit = self._lookup(word[offset:])
            if hit:
                return hit, offset
        return None, 0


_TWO_LETTERS: dict[str, str | int | None] = {
    "ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue",
}  # fmt: skip


@lru_cache(maxsize=10_000)
def _forms(phrase: str) -> frozenset[str]:
    """The squeezed forms a label is looked up by; umlauts also as two letters.

    Kept: every document asks for the same hundreds of well-known labels again.
    """
    spelled = phrase.translate(str.maketrans(_TWO_LETTERS))
    forms = {"".join(_WORD.findall(fold(text))) for text in (phrase, spelled)}
    return frozenset(form for form in forms if form)


def owners_of(labels: Iterable[Label]) -> Mapping[str, int]:
    """The fields that ``labels`` announce, each with the weight of its longest label."""
    weights: dict[str, int] = {}
    for label in labels:
        for owner in label.owners:
            weights[owner] = max(weights.get(owner, 0), label.weight)
    return weights
