"""Votes, second looks, sources of sentences, the tree of a summary, and what workers say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hivekeep.domain.documents import Block
from hivekeep.domain.fields import FieldSpec, FieldType, SecondLook, Vote
from hivekeep.domain.inference import Message
from hivekeep.domain.report import Source, Statement
from hivekeep.domain.values import DocumentResult, Evidence, FieldValue, ValueStatus
from hivekeep.swarm.patterns.aggregate import Finding, Operation, aggregate
from hivekeep.swarm.patterns.loop import choice_of, next_move
from hivekeep.swarm.patterns.reduce import (
    PER_DOCUMENT,
    groups,
    in_turn,
    most_out,
    most_reducers,
    node_messages,
    node_result,
    statements_of,
)
from hivekeep.swarm.patterns.sampling import GREEDY, Sampling
from hivekeep.swarm.patterns.second_look import look_again
from hivekeep.swarm.patterns.sources import grounded_prose, sentences, support
from hivekeep.swarm.patterns.vote import majority, vote
from hivekeep.swarm.prompting.budget import estimate_tokens
from hivekeep.swarm.prompting.schema import answer_schema
from hivekeep.swarm.verification import check
from tests.swarm.scripted import document, plan

pytestmark = pytest.mark.anyio
PAGE = document("a", "Number A-1\nTotal 10.00\nAlso 99.00")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Answers:
    """Gives its answers in turn and remembers how it was asked."""

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)
        self.how: list[Sampling] = []

    async def __call__(
        self, key: str, messages: tuple[Message, ...], schema: Any, sampling: Sampling = GREEDY
    ) -> str:
        self.how.append(sampling)
        return self._answers[len(self.how) - 1]


def said(number: str | None, total: str | None) -> str:
    return json.dumps({"number": number, "total": total})


async def test_a_vote_takes_what_most_samples_say_and_tells_how_many() -> None:
    ask = Answers(said("A-1", "10.00"), said("A-1", "10.00"), said("A-1", None))
    result = await vote(plan(vote=Vote(3, 0.9)), PAGE, ask)
    assert [(how.temperature, how.seed) for how in ask.how] == [(0.9, 1), (0.9, 2), (0.9, 3)]
    number, total = result.values
    assert isinstance(number, FieldValue)
    assert (number.value, number.status, number.confidence) == ("A-1", ValueStatus.GROUNDED, 1.0)
    assert isinstance(total, FieldValue)
    assert total.value == "10.00"


@settings(max_examples=30)
@given(st.lists(st.sampled_from(["A-1", "B-2", "C-3", None]), min_size=1, max_size=7))
def test_a_value_without_a_majority_is_never_certain(votes: list[str | None]) -> None:
    spec = plan(fields=(FieldSpec("number", FieldType.IDENTIFIER, "No"),))
    page = document("a", "A-1 and B-2 and C-3")
    result = majority([check(spec, page, {"number": value}) for value in votes])
    (value,) = result.values
    assert isinstance(value, FieldValue)
    assert value.value in votes
    share = votes.count(value.value) / len(votes)
    assert value.confidence == pytest.approx(share, abs=0.001)
    if share <= 0.5 and value.value is not None:
        assert value.status is ValueStatus.NEEDS_REVIEW
    assert share == max(votes.count(other) for other in votes) / len(votes)


async def test_a_second_look_confirms_or_doubts_and_never_replaces() -> None:
    chosen = plan(second_look=SecondLook(model="other", instructions="Look."))
    first = check(chosen, PAGE, {"number": "A-1", "total": "10.00"})
    ask = Answers(said("A-1", "99.00"))
    result = await look_again(chosen, PAGE, first, ask)
    assert ask.how[0].model == "other"
    number, total = result.values
    assert isinstance(number, FieldValue)
    assert isinstance(total, FieldValue)
    assert number.status is ValueStatus.GROUNDED
    assert total.value == "10.00"
    # The label beside the printed amount overrules the second reading, so nothing is in doubt.
    assert total.status is ValueStatus.GROUNDED
    loose = document("a", "Number A-1\n10.00 and 99.00")
    first = check(chosen, loose, {"number": "A-1", "total": "10.00"})
    result = await look_again(chosen, loose, first, Answers(said("A-1", "99.00")))
    total = result.values[1]
    assert isinstance(total, FieldValue)
    assert (total.value, total.status) == ("10.00", ValueStatus.NEEDS_REVIEW)
    assert "99.00" in total.reason


def test_sentences_end_where_people_end_them() -> None:
    text = "Dr. Smith paid 3.50 EUR. See No. 5 for more! 甲方支付租金。乙方同意。 One; Two"
    ends = ["Dr. Smith paid 3.50 EUR.", "See No. 5 for more!", "甲方支付租金。", "乙方同意。"]
    assert sentences(text) == [*ends, "One", "Two"]


def test_a_sentence_is_supported_by_the_place_that_says_it_and_by_no_other() -> None:
    blocks = [
        Block(0, 1, "This agreement is made between Alder Ltd and Birch GmbH."),
        Block(1, 2, "The monthly rent is 1,250 EUR, due on the third working day."),
        Block(2, 3, "Notices are to be sent by registered mail."),
    ]
    (place,) = support("Rent of 1,250 EUR is due monthly on the third day.", blocks)
    assert (place.block, place.page) == (1, 2)
    assert support("The tenant keeps two elephants in the garden.", blocks) == ()
    prose = FieldValue("s", "The monthly rent is 1,250 EUR. It has elephants.", ValueStatus.JUDGED)
    page = document("x", "\n".join(block.text for block in blocks))
    (value,) = grounded_prose(page, DocumentResult((prose,))).values
    assert isinstance(value, FieldValue)
    assert [e.block for e in value.evidence] == [1]
    assert value.reason.startswith("1 of its sentences")


def statement(number: int, long: int = 0) -> Statement:
    evidence = Evidence(number, 1, 0, 5, f"fact {number}")
    return Statement(
        f"Company number{number} pays amount{number} every month." + " 每月支付租金" * long,
        (Source(f"/in/{number}", "00", (evidence,)),),
    )


@settings(max_examples=50)
@given(st.data())
def test_no_level_of_the_tree_invents_a_source(data: st.DataObject) -> None:
    made = [statement(n) for n in range(data.draw(st.integers(1, 12)))]
    texts = st.sampled_from([s.text for s in made] + ["Nothing of the kind is true at all."])
    item = st.fixed_dictionaries({"text": texts, "from": st.lists(st.integers(-2, 15), max_size=4)})
    answer = data.draw(st.lists(item, max_size=8))
    result = node_result(json.dumps({"sentences": answer}), made, last=data.draw(st.booleans()))
    known = {source.path for s in made for source in s.sources}
    assert result  # a useless answer passes the statements on
    for found in result:
        assert {source.path for source in found.sources} <= known
        assert found.sources
        assert "Nothing of the kind" not in found.text


def test_a_claimed_source_that_does_not_fit_gives_way_to_one_that_does() -> None:
    made = [statement(1), statement(2)]
    answer = json.dumps({"sentences": [{"text": made[1].text, "from": [1]}]})
    # Both statements share words with the sentence, so the claim is believed …
    assert [s.path for s in node_result(answer, made, last=True)[0].sources] == ["/in/1"]
    # … unless it shares none.
    made[0] = Statement("Wholly different matter.", made[0].sources)
    assert [s.path for s in node_result(answer, made, last=True)[0].sources] == ["/in/2"]


@settings(max_examples=25)
@given(st.integers(0, 40), st.integers(512, 3000), st.integers(0, 12))
def test_the_tree_ends_within_the_nodes_that_were_promised(
    documents: int, context: int, long: int
) -> None:
    chosen = plan(context_tokens=context)
    level = [statement(n % 50, long) for n in range(documents * PER_DOCUMENT)]
    nodes = 0
    while documents > 1:
        parts = groups(level, chosen)
        nodes += len(parts)
        if len(parts) == 1:
            break
        level = [s for part in parts for s in part[: most_out(len(part), last=False)]]
        asked = [node_messages(chosen, part, last=False)[0][1].content for part in parts]
        room = max(context, 860)  # below that the shortest prompts there can be are sent
        assert max(estimate_tokens(text) for text in asked) <= room
    assert nodes <= most_reducers(chosen, documents)


wild = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.text(max_size=80) | st.builds(json.dumps, wild))
def test_whatever_a_worker_says_is_a_choice(text: str) -> None:
    choice = choice_of(text)
    assert isinstance(choice.tool, str)
    assert choice.fingerprint == choice_of(text).fingerprint
    next_move([])


def test_sums_leave_out_what_is_in_doubt_and_say_so() -> None:
    def finding(name: str, value: Any, status: ValueStatus = ValueStatus.GROUNDED) -> Finding:
        return Finding("read", name, (FieldValue("total", value, status),))

    findings = [
        finding("a", "10.10"), finding("b", "0.20"), finding("c", None, ValueStatus.ABSENT),
        finding("d", "5", ValueStatus.NEEDS_REVIEW), Finding("read", "e", failure="damaged"),
    ]  # fmt: skip
    assert aggregate(findings, "total", Operation.SUM).startswith("10.30 (2 values)")
    assert "c, d" in aggregate(findings, "total", Operation.SUM)
    assert aggregate(findings, "total", Operation.MAX).startswith("10.10 in a")
    assert aggregate(findings, "total", Operation.COUNT) == "3"


def test_every_document_has_its_first_sentence_before_any_has_its_second() -> None:
    def of(name: str, count: int) -> list[Statement]:
        return [Statement(f"{name}{n}", ()) for n in range(count)]

    found = in_turn([of("a", 3), of("b", 1), [], of("c", 2)])
    assert [statement.text for statement in found] == ["a0", "b0", "c0", "a1", "c1", "a2"]


def test_a_sentence_that_the_limit_cut_off_is_no_statement() -> None:
    spec = FieldSpec("summary", FieldType.PROSE, "Summary", grounded=False, max_length=60)
    chosen = plan(fields=(spec,))
    page = document("a", "The rent is 900 a month. The notice period is three months long.")
    cut = "The rent is 900 a month. The notice period is three months l"
    for text, wanted in ((cut, 1), (cut[:-9], 2)):
        value = FieldValue("summary", text, ValueStatus.JUDGED)
        found = statements_of(chosen, "/in/a", page, DocumentResult((value,)))
        assert len(found) == wanted, text


def test_a_choice_with_a_place_for_all_else_cannot_be_dodged() -> None:
    kinds = ("invoice", "other")
    required = FieldSpec("kind", FieldType.CHOICE, choices=kinds, required=True)
    free = FieldSpec("kind", FieldType.CHOICE, choices=kinds)
    for spec, wanted in ((required, [*kinds]), (free, [*kinds, None])):
        assert answer_schema(plan(fields=(spec,)))["properties"]["kind"] == {"enum": wanted}
