"""A second look at stated values, by another prompt or another model.

Responsible for asking and for what follows from disagreement; not for the first answer.
Invariant: a second look can make a value doubtful or confirm it, never replace it unseen: where
both readings are printed a person decides.
"""

from __future__ import annotations

from dataclasses import replace

from hivekeep.domain.documents import Document
from hivekeep.domain.fields import FieldType, Plan, SecondLook
from hivekeep.domain.inference import Message, Role
from hivekeep.domain.values import CheckedValue, DocumentResult, FieldValue, ValueStatus
from hivekeep.swarm.answers import parse_answer
from hivekeep.swarm.patterns.sampling import Generate, Sampling
from hivekeep.swarm.prompting import extraction_messages
from hivekeep.swarm.prompting.schema import answer_schema
from hivekeep.swarm.verification import check

KEY = "generate:second-look"
_INSTRUCTIONS = (
    "You check what somebody else has read off a document. Read every value afresh; trust nothing "
    "but what is printed."
)


async def look_again(
    plan: Plan, document: Document, first: DocumentResult, generate: Generate
) -> DocumentResult:
    """Read all values but tables once more and compare; one model call."""
    look = plan.second_look or SecondLook()
    names = tuple(spec.name for spec in plan.fields if spec.type is not FieldType.ROWS)
    if not names:
        return first
    other = replace(plan, instructions=look.instructions or _INSTRUCTIONS)
    messages = _differently(extraction_messages(other, document, fields=names))
    text = await generate(
        KEY, messages, answer_schema(plan, fields=names), Sampling(model=look.model)
    )
    second = check(other, document, parse_answer(text))
    values = tuple(_compare(value, second.get(value.name)) for value in first.values)
    return replace(first, values=values)


def _differently(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The same question in other words, so that the same slip is not simply repeated."""
    system, user = messages
    return system, Message(Role.USER, f"{user.content}\nTake each value from its own label.")


def _compare(value: CheckedValue, other: CheckedValue | None) -> CheckedValue:
    if not isinstance(value, FieldValue) or not isinstance(other, FieldValue):
        return value
    if value.status is ValueStatus.JUDGED:
        return (
            value
            if _same(value, other) or other.value is None
            else replace(value, reason=f"A second look would say: {other.value}.")
        )
    if _same(value, other):
        confirmed = value.confidence is None and value.status is ValueStatus.GROUNDED
        return replace(value, confidence=1.0) if confirmed else value
    if value.value is None:
        if other.status is ValueStatus.GROUNDED:
            return replace(
                other,
                status=ValueStatus.NEEDS_REVIEW,
                reason="Only a second look found it.",
            )
        return value
    if other.status is not ValueStatus.GROUNDED:
        # It found nothing better: what is printed stands.
        return value
    return replace(
        value,
        status=ValueStatus.NEEDS_REVIEW,
        evidence=(*value.evidence, *other.evidence)[:4],
        reason=f"A second look read {other.value}.",
    )


def _same(one: FieldValue, two: FieldValue) -> bool:
    return _plain(one) == _plain(two)


def _plain(value: FieldValue) -> str:
    return " ".join(str(value.value).casefold().split())
