"""The prefix tree against a model of it that is too simple to be wrong."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hivekeep.engine.worker.prefixes import PrefixTree, common_prefix

TOKENS = st.lists(st.integers(0, 2), max_size=12)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 14), TOKENS, st.booleans()), max_size=40),
    TOKENS,
)
@settings(max_examples=400, deadline=None)
def test_it_knows_who_holds_what(
    moves: list[tuple[int, int, list[int], bool]], wanted: list[int]
) -> None:
    tree, plain = PrefixTree(), {holder: list[int]() for holder in range(4)}
    for holder, keep, tokens, cuts in moves:
        if cuts:
            tree.cut(holder, keep)
            plain[holder] = plain[holder][:keep]
        tree.extend(holder, tokens)
        plain[holder] += tokens
        for who, held in plain.items():
            assert tree.length(who) == len(held)
            shared = common_prefix(held, wanted)
            assert tree.shared_with(who, wanted) == shared
            others = [common_prefix(held, other) for name, other in plain.items() if name != who]
            assert tree.unique(who) == len(held) - max(others)
        match = tree.longest(wanted)
        best = max(common_prefix(held, wanted) for held in plain.values())
        assert match.length == best
        if best:
            assert match.holders == {
                who for who, held in plain.items() if common_prefix(held, wanted) == best
            }
    for holder in plain:
        tree.cut(holder, 0)
    assert tree.nodes() == 0


def test_it_does_not_grow_with_what_came_and_went() -> None:
    tree = PrefixTree()
    tree.extend(0, list(range(1000)))
    for turn in range(500):
        tree.extend(1, [*range(2 * turn), -1, -2])
        tree.cut(1, 0)
    assert tree.nodes() <= 2


@given(TOKENS, TOKENS)
def test_common_prefix_is_the_longest(one: list[int], two: list[int]) -> None:
    length = common_prefix(one, two)
    assert one[:length] == two[:length]
    assert one[: length + 1] != two[: length + 1] or length == min(len(one), len(two))
