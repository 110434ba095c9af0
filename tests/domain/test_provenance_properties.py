"""Labels form a lattice: joining is blind to order and number, and never adds trust."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hivekeep.domain.actions import Label
from hivekeep.domain.provenance import (
    MOST_ORIGINS,
    MOST_QUOTE,
    TRUSTED,
    Labelled,
    Origin,
    OriginKind,
    Provenance,
    at_least_as_trusted,
    join_all,
    least_trusted,
    of,
)
from hivekeep.journal import decode, encode

labels = st.sampled_from(Label)
origins = st.builds(
    Origin, labels, st.sampled_from(OriginKind), st.text(max_size=3), quote=st.text(max_size=3)
)
few = st.lists(origins, max_size=5).map(lambda found: of(*found))
# Enough of them to go past what is kept.
many = st.integers(0, 3 * MOST_ORIGINS).map(
    lambda count: of(
        *(Origin(list(Label)[n % 3], OriginKind.DOCUMENT, f"{count % 7}-{n}") for n in range(count))
    )
)
provenances = few | many


@given(provenances, provenances, provenances)
def test_join_is_a_semilattice(a: Provenance, b: Provenance, c: Provenance) -> None:
    assert a.join(b) == b.join(a)
    assert a.join(b).join(c) == a.join(b.join(c))
    assert a.join(a) == a
    assert TRUSTED.join(a) == a


@given(st.lists(provenances, max_size=4))
def test_nothing_becomes_more_trusted_by_joining(parts: list[Provenance]) -> None:
    joined = join_all(parts)
    assert all(at_least_as_trusted(part.label, joined.label) for part in parts)
    assert joined.label is least_trusted(*(part.label for part in parts))
    assert joined.untrusted == any(part.untrusted for part in parts)


@given(provenances, provenances)
def test_an_untrusted_origin_is_named_however_many_there_are(a: Provenance, b: Provenance) -> None:
    joined = a.join(b)
    assert len(joined.origins) <= MOST_ORIGINS
    if joined.untrusted:
        assert joined.untrusted_origins()
    every = {*a.origins, *b.origins}
    assert joined.more or set(joined.origins) == every


@given(provenances)
def test_the_journal_gives_back_what_it_was_given(value: Provenance) -> None:
    assert decode(Provenance, encode(value)) == value


@given(provenances, provenances)
def test_values_carry_their_provenance(a: Provenance, b: Provenance) -> None:
    both = Labelled("a", a).with_(Labelled("b", b)).map("".join)
    assert both == Labelled("ab", a.join(b))


def test_a_long_passage_is_shortened_visibly() -> None:
    quote = Origin(Label.UNTRUSTED, OriginKind.MAIL, "m", quote="x" * 1000).quote
    assert len(quote) == MOST_QUOTE
    assert quote.endswith("…")
