"""Several samples of one answer, and the value that most of them agree on.

Responsible for drawing samples with different seeds and for counting; every sample is checked
against the document like a single answer.  Invariant: a value without a majority is never called
certain, and how many agreed is recorded with the value.

Wang et al., "Self-Consistency Improves Chain of Thought Reasoning in Language Models" (2022).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hivekeep.domain.documents import Document
from hivekeep.domain.fields import Plan
from hivekeep.domain.values import CheckedValue, DocumentResult, FieldValue, RowsValue, ValueStatus
from hivekeep.swarm.answers import parse_answer
from hivekeep.swarm.patterns.sampling import Generate, Sampling
from hivekeep.swarm.prompting import extraction_messages, request_groups
from hivekeep.swarm.prompting.schema import answer_schema
from hivekeep.swarm.verification import check

_CERTAIN = (ValueStatus.GROUNDED, ValueStatus.DERIVED)


async def vote(plan: Plan, document: Document, generate: Generate) -> DocumentResult:
    """Ask every question as often as the plan says and return the majority's values."""
    if plan.vote is None:
        raise ValueError("the plan asks for no vote")
    results = []
    for sample in range(plan.vote.samples):
        answer: dict[str, Any] = {}
        for number, names in enumerate(request_groups(plan)):
            sampling = Sampling(temperature=plan.vote.temperature, seed=sample + 1)
            text = await generate(
                f"generate:{number}:vote:{sample + 1}",
                extraction_messages(plan, document, fields=names),
                answer_schema(plan, fields=names),
                sampling,
            )
            answer.update(parse_answer(text))
        results.append(check(plan, document, answer))
    return majority(results)


def majority(results: Sequence[DocumentResult]) -> DocumentResult:
    """Field by field the value that most samples gave; of equally many the best supported one."""
    fields = zip(*(result.values for result in results), strict=True)
    values = tuple(_elect(votes) for votes in fields)

    def nearness(result: DocumentResult) -> int:
        return sum(one == two for one, two in zip(result.values, values, strict=True))

    return DocumentResult(values, max(results, key=nearness).problems)


def _elect(votes: Sequence[CheckedValue]) -> CheckedValue:
    ballots = Counter(_ballot(value) for value in votes)
    best = max(
        dict.fromkeys(_ballot(value) for value in votes),
        key=lambda ballot: (
            ballots[ballot],
            any(v.status in _CERTAIN for v in votes if _ballot(v) == ballot),
        ),
    )
    mine = [value for value in votes if _ballot(value) == best]
    winner = next((value for value in mine if value.status in _CERTAIN), mine[0])
    agreed, asked = ballots[best], len(votes)
    if agreed == asked:
        return _with(winner, winner.status, winner.reason, 1.0)
    split = f"{agreed} of {asked} samples agree"
    reason = f"{winner.reason} {split}.".strip()
    uncertain = 2 * agreed <= asked and winner.status is not ValueStatus.ABSENT
    status = ValueStatus.NEEDS_REVIEW if uncertain else winner.status
    return _with(winner, status, reason, agreed / asked)


def _ballot(value: CheckedValue) -> str:
    if isinstance(value, RowsValue):
        return repr([[cell.value for cell in row] for row in value.rows])
    return " ".join(str(value.value).casefold().split())


def _with(value: CheckedValue, status: ValueStatus, reason: str, agreement: float) -> CheckedValue:
    if isinstance(value, FieldValue):
        return replace(value, status=status, reason=reason, confidence=round(agreement, 3))
    return replace(value, status=status, reason=reason)
