"""What a question about a document asks for, and the shape that its answer is held to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hivekeep.domain.fields import Example, FieldType, Plan
from hivekeep.recipes import builtin_recipes
from hivekeep.swarm.prompting import extraction_messages
from hivekeep.swarm.prompting.schema import answer_schema
from tests.swarm.scripted import document

CONTRACTS = builtin_recipes()["contracts"].compile()
PAGE = document("a.txt", "SERVICE AGREEMENT\n5. Termination with 90 days' written notice.")


def keys(plan: Plan, *fields: str) -> tuple[list[str], list[str]]:
    """The keys that a question names, and those that its answer must have."""
    question = extraction_messages(plan, PAGE, fields=fields)[-1].content.partition("these keys:")
    named = [line[2:].partition(":")[0] for line in question[2].splitlines() if line[:2] == "- "]
    return named, answer_schema(plan, fields)["required"]


def test_a_single_value_in_words_is_asked_for_in_company() -> None:
    named, required = keys(CONTRACTS, "notice_period")
    assert named == required == ["document_title", "notice_period"]
    named, required = keys(CONTRACTS, "notice_period", "term")
    assert named == required
    assert "document_title" not in named


@pytest.mark.parametrize("kind", [FieldType.DATE, FieldType.BOOLEAN, FieldType.PROSE])
def test_others_are_asked_for_alone(kind: FieldType) -> None:
    fields = tuple(
        replace(spec, type=kind) if spec.name == "notice_period" else spec
        for spec in CONTRACTS.fields
    )
    named, required = keys(replace(CONTRACTS, fields=fields), "notice_period")
    assert named == required == ["notice_period"]


def test_where_examples_show_how_to_answer_nothing_is_added() -> None:
    example = Example("Notice of 1 month.", (("notice_period", "1 month"),))
    named, required = keys(replace(CONTRACTS, examples=(example,)), "notice_period")
    assert named == required == ["notice_period"]
