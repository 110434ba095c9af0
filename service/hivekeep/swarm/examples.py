"""From a value that a person has put right to an example that shows a model how it is done.

Responsible for choosing the piece of the document and the value as printed there; not for keeping
it.  Invariant: the piece is rendered as prompts render documents, so that nothing in it can end the
part that is marked as data.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hivekeep.domain.documents import Block, Document
from hivekeep.domain.fields import FieldSpec, FieldType, Plan
from hivekeep.domain.values import DocumentResult, FieldValue, Scalar
from hivekeep.swarm.prompting.relevance import blocks_with_neighbours
from hivekeep.swarm.prompting.rendering import render
from hivekeep.swarm.verification import Context
from hivekeep.swarm.verification.grounding import locate

LONGEST = 1_200
"""Characters of an example's document at most: each of them is sent with every document."""
_AROUND = (3, 2, 1, 0)


@dataclass(frozen=True, slots=True)
class Proposed:
    """An example for a person to look at. ``printed`` says whether the value stands in it."""

    document: str
    value: Scalar
    printed: bool


def propose(
    plan: Plan, document: Document, result: DocumentResult | None, field: str, right: Scalar
) -> Proposed | None:
    """An example that states ``right`` for ``field``; ``None`` if there can be none.

    :param result: what was found before, whose evidence shows where a wrong value came from.
    """
    spec = next((spec for spec in plan.fields if spec.name == field), None)
    if spec is None or spec.type is FieldType.ROWS or not document.blocks:
        return None
    context = Context(plan, document)
    found = locate(context, spec, right)
    if found is not None and found.places:
        place = found.places[0]
        value: Scalar = context.layout.text(place) if spec.grounded else right
        lines = {context.layout.lines[span.line].block for span in place}
        return Proposed(_piece(document, lines), value, printed=True)
    before = result.get(field) if result else None
    evidence = before.evidence if isinstance(before, FieldValue) else ()
    chosen = {item.block for item in evidence} or {document.blocks[0].index}
    stated = right is None or not spec.grounded
    return Proposed(_piece(document, chosen), _as_answered(spec, right), printed=stated)


def _as_answered(spec: FieldSpec, right: Scalar) -> Scalar:
    return right if right is None or spec.type is FieldType.BOOLEAN else str(right)


def _piece(document: Document, wanted: Iterable[int]) -> str:
    """The blocks around those wanted, as many as are not too long."""
    chosen: Sequence[Block] = ()
    for around in _AROUND:
        chosen = blocks_with_neighbours(document, wanted, around=around)
        if len(render(chosen)) <= LONGEST:
            break
    return render(chosen)[:LONGEST].strip()
