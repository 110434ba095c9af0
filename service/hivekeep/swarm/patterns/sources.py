"""Which places of a document a sentence rests on.

Responsible for finding them by shared words, numbers counting most; it is our check on what a model
claims, and needs no model.  Invariant: a place is named only if it shares rare words with the
sentence, so a sentence that nothing supports gets none.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from hivekeep.domain.documents import Block, Document
from hivekeep.domain.values import DocumentResult, Evidence, FieldValue, ValueStatus

_WORD = re.compile(r"[^\W_]+(?:[.,][0-9]+)*")
# A point before a small letter or a digit rarely ends a sentence: 'No. 5', 'e.g. this'.
_END = re.compile(r"(?<=[.!?])\s+(?=[^\sa-z0-9])|(?<=[。！？；])|;\s+|\n+")
_LEAST = 0.3
"""The share of a sentence's weight that a place must hold to be named."""
_MOST_PLACES = 3
_QUOTE = 200
_ABBREVIATION = re.compile(r"(?:\b\w|\b(?:Nr|No|St|Dr|Mr|Ms|Co|Inc|Ltd|Art|Abs|approx|ca|vs))\.$")


def sentences(text: str) -> list[str]:
    """``text`` cut into sentences; an abbreviation's point ends none."""
    pieces: list[str] = []
    for raw in _END.split(text):
        piece = raw.strip(" \t-•*")
        if piece and pieces and _ABBREVIATION.search(pieces[-1]):
            pieces[-1] = f"{pieces[-1]} {piece}"
        elif piece:
            pieces.append(piece)
    return pieces


def support(sentence: str, blocks: Sequence[Block]) -> tuple[Evidence, ...]:
    """The blocks that hold most of what ``sentence`` says, best first; empty if none does."""
    wanted = set(words(sentence))
    if not wanted:
        return ()
    held = [Counter(words(block.text)) for block in blocks]
    total = len(blocks)
    weight = {
        word: _importance(word) * math.log(1 + total / (1 + sum(word in h for h in held)))
        for word in wanted
    }
    whole = sum(weight.values()) or 1.0
    scored = [
        (sum(weight[word] for word in wanted if word in here) / whole, number)
        for number, here in enumerate(held)
    ]
    best = sorted(scored, key=lambda item: (-item[0], item[1]))[:_MOST_PLACES]
    chosen = [number for score, number in best if score >= _LEAST]
    if not chosen:
        # Several places may each hold a part: a sentence often joins two of them.
        together = {w for _, number in best for w in wanted if w in held[number]}
        if sum(weight[word] for word in together) / whole >= 2 * _LEAST:
            chosen = [number for score, number in best if score > _LEAST / 2]
    return tuple(_evidence(blocks[number]) for number in chosen)


def grounded_prose(document: Document, result: DocumentResult) -> DocumentResult:
    """``result`` whose prose carries the places it rests on, and a remark where it has none."""
    values = []
    for value in result.values:
        if not isinstance(value, FieldValue) or value.status is not ValueStatus.JUDGED:
            values.append(value)
            continue
        found: dict[int, Evidence] = {}
        lost = 0
        for sentence in sentences(str(value.value)):
            places = support(sentence, document.blocks)
            lost += not places
            found.update((place.block, place) for place in places[:1])
        reason = f"{lost} of its sentences rest on no place that was found." if lost else ""
        places = tuple(found[block] for block in sorted(found))
        values.append(
            FieldValue(value.name, value.value, value.status, places, value.reason or reason,
                       value.confidence)
        )  # fmt: skip
    return DocumentResult(tuple(values), result.problems)


def words(text: str) -> list[str]:
    """The words of a text that can support a sentence; Chinese and Japanese by pairs."""
    found: list[str] = []
    for word in _WORD.findall(text.casefold()):
        if word[0] > "\u2e7f":
            found += [word[at : at + 2] for at in range(max(len(word) - 1, 1))]
        elif len(word) > 2 or word.isdigit():
            found.append(word)
    return found


def _importance(word: str) -> float:
    return 3.0 if any(char.isdigit() for char in word) else min(len(word), 8) / 4


def _evidence(block: Block) -> Evidence:
    quote = " ".join(block.text.split())[:_QUOTE]
    return Evidence(block.index, block.page, 0, len(block.text), quote, block.locator)
