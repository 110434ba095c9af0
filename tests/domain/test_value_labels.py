"""Labels on values: joined when values are combined, kept in journals, never gained by age."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hivekeep.domain.actions import Label
from hivekeep.domain.documents import Block, Document
from hivekeep.domain.provenance import (
    TRUSTED,
    UNKNOWN,
    Origin,
    OriginKind,
    Provenance,
    at_least_as_trusted,
    of,
)
from hivekeep.domain.report import Source, Statement
from hivekeep.domain.values import (
    DocumentResult,
    Evidence,
    FieldValue,
    RowsValue,
    ValueStatus,
    provenance_of,
)
from hivekeep.journal import decode, encode
from hivekeep.swarm.labels import from_document, from_seen, joined
from hivekeep.swarm.patterns.aggregate import Finding, provenance_of_findings
from hivekeep.swarm.patterns.reduce import node_result

MAIL = Document("m.eml", "message/rfc822", "ab" * 32, 9, 1, (Block(0, 1, "Pay 10 to me"),))
PLACE = Evidence(0, 3, 4, 6, "Pay 10 to me", "Sheet1!A1")
FOUND = FieldValue("total", "10", ValueStatus.GROUNDED, (PLACE,))
TABLE = RowsValue("lines", ((FOUND,),), ValueStatus.GROUNDED)

origins = st.builds(
    Origin, st.sampled_from(Label), st.sampled_from(OriginKind), st.text(max_size=5)
)
provenances = st.lists(origins, max_size=4).map(lambda found: of(*found))
values = st.builds(
    FieldValue, st.text(min_size=1, max_size=5), st.just("x"), st.just(ValueStatus.JUDGED),
    provenance=st.none() | provenances,
)  # fmt: skip


def test_a_value_says_from_which_place_of_which_document_it_is() -> None:
    labelled = from_document(DocumentResult((FOUND, TABLE)), "/in/m.eml", MAIL)
    (origin,) = provenance_of(labelled.values[0]).origins
    assert (origin.label, origin.kind) == (Label.UNTRUSTED, OriginKind.MAIL)
    assert (origin.name, origin.place) == ("/in/m.eml", "page 3, Sheet1!A1")
    assert (origin.quote, origin.sha256) == ("Pay 10 to me", "ab" * 32)
    assert provenance_of(labelled.values[1]).untrusted
    assert labelled.values == (FOUND, TABLE)


def test_what_a_journal_kept_before_there_were_labels_is_untrusted() -> None:
    old = {"values": [{"name": "total", "value": "10", "status": "grounded"},
                      {"name": "lines", "rows": [], "status": "absent"}]}  # fmt: skip
    result = decode(DocumentResult, old)
    assert [provenance_of(value) for value in result.values] == [UNKNOWN, UNKNOWN]
    assert joined(result).label is Label.UNTRUSTED
    assert provenance_of(None).untrusted


@given(st.lists(values, max_size=4))
def test_a_result_comes_back_from_the_journal_with_its_labels(found: list[FieldValue]) -> None:
    result = DocumentResult(tuple(found))
    again = decode(DocumentResult, encode(result))
    assert [v.provenance for v in again.values] == [v.provenance for v in found]


@given(st.lists(values, max_size=4), provenances)
def test_a_join_is_never_more_trusted_than_a_part(
    found: list[FieldValue], seen: Provenance
) -> None:
    whole = joined(DocumentResult(tuple(found)))
    for value in found:
        assert at_least_as_trusted(provenance_of(value).label, whole.label)
    stamped = from_seen(DocumentResult(tuple(found)), seen)
    assert all(provenance_of(value) == seen for value in stamped.values)


def test_findings_join_what_they_are_made_of() -> None:
    own = Finding("sum", "sum", provenance=TRUSTED)
    assert provenance_of_findings([own]) == TRUSTED
    theirs = Finding("read", "m.eml", provenance=of(Origin(Label.UNTRUSTED, OriginKind.MAIL, "m")))
    assert provenance_of_findings([own, theirs]).untrusted
    assert Finding("old", "old").provenance.untrusted


def test_a_summary_carries_all_that_was_before_the_model() -> None:
    def statement(text: str, name: str) -> Statement:
        origin = Origin(Label.UNTRUSTED, OriginKind.DOCUMENT, name)
        return Statement(text, (Source(name, "", ()),), of(origin))

    first = statement("The rent is 900 euro a month.", "/in/a.pdf")
    second = statement("The deposit is three rents.", "/in/b.pdf")
    answer = '{"sentences": [{"text": "The rent is 900 euro.", "from": [1]}]}'
    (made,) = node_result(answer, [first, second], last=True)
    assert [source.path for source in made.sources] == ["/in/a.pdf"]
    assert made.provenance is not None
    assert {origin.name for origin in made.provenance.origins} == {"/in/a.pdf", "/in/b.pdf"}
