"""The Merkle tree against the definitions of RFC 9162, written down literally."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hivekeep_verify.tree import (
    Frontier,
    consistency_proof,
    consistent,
    inclusion_proof,
    root_from_inclusion,
    root_of,
)


def mth(data: list[bytes]) -> bytes:
    """RFC 9162, 2.1.1."""
    if not data:
        return sha256(b"").digest()
    if len(data) == 1:
        return sha256(b"\0" + data[0]).digest()
    k = 1
    while k * 2 < len(data):
        k *= 2
    return sha256(b"\1" + mth(data[:k]) + mth(data[k:])).digest()


DATA = [bytes([n]) * 3 for n in range(130)]
LEAVES = [sha256(b"\0" + item).digest() for item in DATA]


def node(low: int, high: int) -> bytes:
    return mth(DATA[low:high])


def test_the_root_is_that_of_the_rfc_at_every_size() -> None:
    frontier = Frontier()
    assert frontier.root() == mth([])
    for size, leaf in enumerate(LEAVES, start=1):
        frontier.append(leaf)
        assert frontier.root() == mth(DATA[:size]) == root_of(LEAVES[:size])


def test_known_roots() -> None:
    """From the test vectors of certificate transparency (RFC 6962 trees)."""
    inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657",
              "606162636465666768696a6b6c6d6e6f"]  # fmt: skip
    data = [bytes.fromhex(text) for text in inputs]
    roots = {
        1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    }
    for size, root in roots.items():
        assert root_of([sha256(b"\0" + d).digest() for d in data[:size]]).hex() == root


@given(st.integers(1, 130), st.data())
@settings(max_examples=200, deadline=None)
def test_inclusion_is_proven_for_each_leaf_and_for_no_other(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_proof(index, size, node)
    root = mth(DATA[:size])
    assert root_from_inclusion(index, size, LEAVES[index], path) == root
    other = data.draw(st.integers(0, size - 1))
    if other != index:
        assert root_from_inclusion(index, size, LEAVES[other], path) != root
    with pytest.raises(ValueError, match="too long"):
        root_from_inclusion(index, size, LEAVES[index], [*path, bytes(32)])
    if path:
        with pytest.raises(ValueError, match="too short"):
            root_from_inclusion(index, size, LEAVES[index], path[:-1])


@given(st.integers(1, 130), st.integers(1, 130), st.data())
@settings(max_examples=200, deadline=None)
def test_consistency_is_proven_for_prefixes_only(a: int, b: int, data: st.DataObject) -> None:
    old, new = min(a, b), max(a, b)
    path = consistency_proof(old, new, node)
    roots = (mth(DATA[:old]), mth(DATA[:new]))
    assert consistent(old, new, roots, path)
    changed = list(DATA[:old])
    changed[data.draw(st.integers(0, old - 1))] = b"changed"
    assert not consistent(old, new, (mth(changed), roots[1]), path)
    assert not consistent(old, new, (roots[0], mth([*changed, *DATA[old:new]])), path)
    if path:
        assert not consistent(old, new, roots, path[:-1])
        assert not consistent(old, new, roots, [*path, path[-1]])


def test_there_is_no_proof_of_what_is_not_there() -> None:
    with pytest.raises(ValueError, match="no such leaf"):
        inclusion_proof(5, 5, node)
    with pytest.raises(ValueError, match="smaller one"):
        consistency_proof(0, 5, node)
    with pytest.raises(ValueError, match="not in the tree"):
        root_from_inclusion(3, 3, LEAVES[0], [])
