"""Which blocks of a document are worth their tokens.

Responsible for choosing under a token budget, by what the fields' labels are, what types of values
they have, and where on a document such values stand; not for rendering.  Invariant: the chosen
blocks are in reading order, and a document that fits is sent whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hivekeep.domain.documents import Block, BlockKind, Document
from hivekeep.domain.fields import FieldSpec, FieldType
from hivekeep.swarm.prompting.budget import estimate_tokens
from hivekeep.swarm.prompting.rendering import clean
from hivekeep.swarm.verification.amounts import find_amounts
from hivekeep.swarm.verification.dates import find_dates
from hivekeep.swarm.verification.text import squeeze

_ROW_OVERHEAD = 2
_NUMBERS = frozenset({FieldType.AMOUNT, FieldType.NUMBER, FieldType.INTEGER, FieldType.ROWS})


def select_blocks(
    document: Document, fields: Sequence[FieldSpec], *, budget_tokens: int
) -> tuple[Block, ...]:
    """The most useful blocks within ``budget_tokens``, in reading order."""
    blocks = [block for block in document.blocks if block.text.strip()]
    costs = {block.index: estimate_tokens(clean(block.text)) + _ROW_OVERHEAD for block in blocks}
    if sum(costs.values()) <= budget_tokens:
        return tuple(blocks)
    scores = _scores(blocks, fields, document.pages)
    chosen: set[int] = set()
    left = budget_tokens
    for position in sorted(range(len(blocks)), key=lambda at: (-scores[at], at)):
        block = blocks[position]
        if costs[block.index] <= left:
            chosen.add(block.index)
            left -= costs[block.index]
    return tuple(block for block in blocks if block.index in chosen)


def _scores(blocks: list[Block], fields: Sequence[FieldSpec], pages: int) -> list[float]:
    labels = {squeeze(alias) for spec in fields for alias in (*spec.aliases, spec.title) if alias}
    labels = {label for label in labels if len(label) >= 3}
    types = {spec.type for spec in fields}
    own = [_own_score(block, labels, types, pages) for block in blocks]
    # A value stands beside or below its label, so a block shares in its neighbours' worth.
    return [
        own[at] + 0.5 * max(own[max(at - 1, 0)], own[min(at + 1, len(own) - 1)])
        for at in range(len(own))
    ]


def _own_score(block: Block, labels: set[str], types: set[FieldType], pages: int) -> float:
    score = 0.0
    text = squeeze(block.text)
    score += 3.0 * min(2, sum(label in text for label in labels))
    if FieldType.DATE in types and find_dates(block.text):
        score += 1.0
    if types & _NUMBERS and any(mention.money for mention in find_amounts(block.text)):
        score += 1.0
    if block.kind in (BlockKind.HEADING, BlockKind.HEADER_FIELD, BlockKind.FORM_FIELD):
        score += 1.0
    if block.page == 1:
        score += 2.0 if _within(block, 0.0, 0.45) else 1.0
    if block.page == pages and _within(block, 0.5, 1.0):
        score += 1.0
    return score


def _within(block: Block, top: float, bottom: float) -> bool:
    return block.box is not None and top <= (block.box.y0 + block.box.y1) / 2 <= bottom


def blocks_with_neighbours(
    document: Document, wanted: Iterable[int], *, around: int = 2
) -> tuple[Block, ...]:
    """The blocks whose index is ``wanted`` and ``around`` blocks before and after each."""
    keep = {index for centre in wanted for index in range(centre - around, centre + around + 1)}
    return tuple(block for block in document.blocks if block.index in keep)
