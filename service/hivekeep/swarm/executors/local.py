"""Everything on this machine."""

from __future__ import annotations

from hivekeep.domain.documents import Document
from hivekeep.domain.fields import Plan
from hivekeep.domain.values import DocumentResult
from hivekeep.swarm.answers import Answer
from hivekeep.swarm.verification import Context, check


class LocalExecutor:
    """Checks answers right here; documents travel nowhere."""

    cluster = ""

    async def check(
        self,
        plan: Plan,
        document: Document,
        first: Answer,
        second: Answer | None = None,
        *,
        context: Context | None = None,
    ) -> DocumentResult:
        """The checked values of one document."""
        return check_answers(plan, document, first, second, context=context)


def check_answers(
    plan: Plan,
    document: Document,
    first: Answer,
    second: Answer | None,
    *,
    context: Context | None = None,
) -> DocumentResult:
    """``verification.check`` of one answer, or of two to the same document."""
    sure = first.confidence | (second.confidence if second else {})
    again = second.values if second else None
    return check(plan, document, first.values, again, confidence=sure, context=context)
