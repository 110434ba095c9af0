"""Summaries of documents that may be longer than the model's context.

Responsible for the tree of model calls: notes on each part, notes on notes until they fit, then
the answer; wording is ``swarm.prompting``'s.  Invariant: the number of calls is bounded, and what
was left out because of that is said in the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hivekeep.domain.documents import Block, Document
from hivekeep.domain.fields import Plan
from hivekeep.domain.json_schema import object_schema
from hivekeep.domain.values import DocumentResult
from hivekeep.swarm.answers import parse_answer
from hivekeep.swarm.patterns.sampling import Generate
from hivekeep.swarm.patterns.sources import grounded_prose
from hivekeep.swarm.prompting import final_messages, notes_messages
from hivekeep.swarm.prompting.budget import estimate_tokens
from hivekeep.swarm.prompting.schema import answer_schema
from hivekeep.swarm.verification import check

_NOTES = "notes"
_NOTES_SCHEMA = object_schema({_NOTES: {"type": "string", "maxLength": 900}})
_OVERHEAD = 400


async def summarize(
    plan: Plan, document: Document, generate: Generate, max_calls: int
) -> DocumentResult:
    """Answer the plan's fields about the whole document with at most ``max_calls`` model calls."""
    budget = max(plan.context_tokens - _OVERHEAD, 256)
    parts = split(document.blocks, budget)
    problems: tuple[str, ...] = ()
    # Every part takes one call; merging notes and the answer itself take some more.
    most = max_calls - 1 - (max_calls // 4)
    if len(parts) > most:
        problems = (
            f"Only {most} of {len(parts)} parts of this long document were read for the summary.",
        )
        parts = spread(parts, most)
    if len(parts) == 1:
        text = await generate(
            "generate:answer", final_messages(plan, parts[0]), answer_schema(plan)
        )
    else:
        notes = await _take_notes(plan, parts, generate)
        notes = await _merge(plan, notes, generate, budget)
        text = await generate("generate:answer", final_messages(plan, notes), answer_schema(plan))
    result = check(plan, document, parse_answer(text))
    return grounded_prose(document, replace(result, problems=(*result.problems, *problems)))


async def _take_notes(
    plan: Plan, parts: Sequence[tuple[Block, ...]], generate: Generate
) -> tuple[Block, ...]:
    notes = []
    for number, part in enumerate(parts):
        answer = await generate(
            f"generate:notes:{number}", notes_messages(plan, part), _NOTES_SCHEMA
        )
        notes.append(_note(number, part[0].page, answer))
    return tuple(notes)


async def _merge(
    plan: Plan, notes: tuple[Block, ...], generate: Generate, budget: int
) -> tuple[Block, ...]:
    """Notes on notes, level by level, until they fit one prompt."""
    level = 0
    while len(groups := split(notes, budget)) > 1 and len(groups) < len(notes):
        level += 1
        merged = []
        for number, group in enumerate(groups):
            answer = await generate(
                f"generate:merge:{level}:{number}", notes_messages(plan, group), _NOTES_SCHEMA
            )
            merged.append(_note(number, group[0].page, answer))
        notes = tuple(merged)
    return notes


def _note(index: int, page: int, answer: str) -> Block:
    return Block(index=index, page=page, text=str(parse_answer(answer).get(_NOTES, "")))


def split(blocks: Sequence[Block], budget: int) -> list[tuple[Block, ...]]:
    """Consecutive blocks in parts of at most about ``budget`` tokens, at least one part.

    A block that is longer than a part is cut to fit it.
    """
    parts: list[tuple[Block, ...]] = []
    current: list[Block] = []
    used = 0
    for block in blocks:
        for piece in _cut(block, budget):
            cost = estimate_tokens(piece.text) + 2
            if current and used + cost > budget:
                parts.append(tuple(current))
                current, used = [], 0
            current.append(piece)
            used += cost
    if current or not parts:
        parts.append(tuple(current) or (Block(0, 1, ""),))
    return parts


def _cut(block: Block, budget: int) -> list[Block]:
    if estimate_tokens(block.text) + 2 <= budget:
        return [block]
    # A token is never less than one character in our estimate of the densest text.
    size = max(budget // 2, 1)
    return [
        replace(block, text=block.text[start : start + size])
        for start in range(0, len(block.text), size)
    ]


def spread(parts: Sequence[tuple[Block, ...]], most: int) -> list[tuple[Block, ...]]:
    """``most`` of ``parts``, evenly over the document, first and last included."""
    if most == 1:
        return [parts[0]]
    last = len(parts) - 1
    return [parts[round(number * last / (most - 1))] for number in range(most)]
