"""Comparing text the way a reader would: case, spacing, ligatures and accents do not matter.

Responsible for folding text while remembering where every character came from, and for exact and
bounded fuzzy search in folded text; not for what a match means.  Invariant: a span that a search
returns is always a valid slice of the text that was searched.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−﹣-"), "-")
_QUOTES = dict.fromkeys(map(ord, "‘’‚‛′`´＇"), "'") | dict.fromkeys(map(ord, "“”„‟″«»＂"), '"')
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"), "")
_PLAIN = {**_DASHES, **_QUOTES, **_INVISIBLE}


@dataclass(frozen=True, slots=True)
class Folded:
    """Folded text; ``starts[i]`` and ``ends[i]`` delimit the original of folded character ``i``."""

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def whole(self, first: int, last: int) -> bool:
        """Whether ``first`` to ``last`` take no original character by half: "¼" is 1⁄4."""
        starts = self.starts
        return (first == 0 or starts[first - 1] != starts[first]) and (
            last + 1 == len(starts) or starts[last + 1] != starts[last]
        )

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original text behind the non-empty folded span ``start:end``."""
        return self.starts[start], self.ends[end - 1]


@lru_cache(maxsize=4096)
def _fold_char(char: str) -> str:
    plain = char.translate(_PLAIN)
    decomposed = unicodedata.normalize("NFKD", plain).casefold()
    return "".join(part for part in decomposed if not unicodedata.combining(part))


def fold_mapped(text: str) -> Folded:
    """Fold ``text``: NFKC-like, case and accents removed, runs of white space one space.

    A word hyphenated at the end of a line (``Liefe-\\nrant``) is joined.
    """
    chars: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for start, end, folded in _pieces(text):
        for char in folded:
            blank = char.isspace()
            if blank and chars and chars[-1] == " ":
                ends[-1] = end
                continue
            chars.append(" " if blank else char)
            starts.append(start)
            ends.append(end)
    return Folded("".join(chars), tuple(starts), tuple(ends))


def _pieces(text: str) -> Iterator[tuple[int, int, str]]:
    at = 0
    while at < len(text):
        char = text[at]
        # Only a lower-case continuation is a hyphenation; "SEPA-\nMandat" keeps its hyphen.
        if (
            char == "-"
            and 0 < at < len(text) - 2
            and text[at + 1] == "\n"
            and (text[at - 1].isalpha() and text[at + 2].islower())
        ):
            at += 2
            continue
        yield at, at + 1, _fold_char(char)
        at += 1


def fold(text: str) -> str:
    """The folded form of ``text`` for comparing, without positions and surrounding spaces."""
    return fold_mapped(text).text.strip()


def collapse(text: str) -> str:
    """``text`` with surrounding white space removed and inner runs made one space."""
    return " ".join(text.split())


def squeeze(text: str) -> str:
    """Folded letters and digits only: the form in which labels and long names are compared."""
    return "".join(char for char in fold(text) if char.isalnum())


def _is_word(char: str) -> bool:
    # Scripts without spaces have no word boundary to respect.
    return char.isalnum() and not ("\u2e80" <= char <= "\u9fff" or "\uac00" <= char <= "\ud7af")


def find_exact(needle: str, folded: Folded) -> list[tuple[int, int]]:
    """Original spans where folded ``needle`` stands as whole words."""
    wanted = fold(needle)
    spans: list[tuple[int, int]] = []
    if not wanted:
        return spans
    text = folded.text
    at = text.find(wanted)
    while at >= 0:
        end = at + len(wanted)
        starts_clean = at == 0 or not (_is_word(text[at - 1]) and _is_word(wanted[0]))
        ends_clean = end == len(text) or not (_is_word(text[end]) and _is_word(wanted[-1]))
        if starts_clean and ends_clean:
            spans.append(folded.original(at, end))
        at = text.find(wanted, at + 1)
    return spans


@dataclass(frozen=True, slots=True)
class Squeezed:
    """Letters and digits of a folded text with the index of each in the folded text."""

    text: str
    at: tuple[int, ...]


def squeeze_mapped(folded: Folded) -> Squeezed:
    """Reduce a folded text to its letters and digits."""
    at = tuple(index for index, char in enumerate(folded.text) if char.isalnum())
    return Squeezed("".join(folded.text[index] for index in at), at)


def find_squeezed(needle: str, folded: Folded) -> list[tuple[int, int]]:
    """Original spans that equal ``needle`` in letters and digits, at word boundaries.

    This is what finds ``MR. D.I.Y. (M)`` in ``MR.D.I.Y(M)``: only spacing and punctuation differ.
    """
    wanted = squeeze(needle)
    spans: list[tuple[int, int]] = []
    if not wanted:
        return spans
    squeezed = squeeze_mapped(folded)
    at = squeezed.text.find(wanted)
    while at >= 0:
        first, last = squeezed.at[at], squeezed.at[at + len(wanted) - 1]
        before = folded.text[first - 1] if first else " "
        after = folded.text[last + 1] if last + 1 < len(folded.text) else " "
        inside_word = (_is_word(before) and _is_word(wanted[0])) or (
            _is_word(after) and _is_word(wanted[-1])
        )
        if not inside_word and folded.whole(first, last):
            spans.append(folded.original(first, last + 1))
        at = squeezed.text.find(wanted, at + 1)
    return spans


def edit_distance(left: str, right: str, limit: int) -> int:
    """Levenshtein distance, or ``limit + 1`` as soon as it must exceed ``limit``."""
    if abs(len(left) - len(right)) > limit:
        return limit + 1
    previous = list(range(len(right) + 1))
    for row, char in enumerate(left, start=1):
        current = [row]
        for column, other in enumerate(right, start=1):
            current.append(
                min(
                    previous[column] + 1,
                    current[-1] + 1,
                    previous[column - 1] + (char != other),
                )
            )
        if min(current) > limit:
            return limit + 1
        previous = current
    return previous[-1]


def allowed_errors(length: int) -> int:
    """How many wrong characters a long name of ``length`` letters and digits may have."""
    return 0 if length < 10 else length // 10


def similar(left: str, right: str) -> bool:
    """Whether two long names differ by no more than reading errors."""
    one, two = squeeze(left), squeeze(right)
    if one == two:
        return bool(one)
    limit = allowed_errors(min(len(one), len(two)))
    return limit > 0 and edit_distance(one, two, limit) <= limit
