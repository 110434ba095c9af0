"""The Merkle tree of RFC 6962 and RFC 9162: roots, inclusion and consistency proofs.

Responsible for pure computation over hashes.  Invariant: nothing here depends on how leaves are
stored; proofs are made from a function that gives the hash of any range of leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

EMPTY_ROOT = sha256(b"").digest()

Node = Callable[[int, int], bytes]


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 9162, 2.1.1: the hash of an inner node."""
    return sha256(b"\1" + left + right).digest()


class Frontier:
    """The complete subtrees of the first ``size`` leaves, largest first; enough for appending."""

    __slots__ = ("hashes", "size")

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        if size.bit_count() != len(hashes):
            raise ValueError("a frontier has one hash for each bit that is set in its size")
        self.size = size
        self.hashes = list(hashes)

    def copy(self) -> Frontier:
        """Another frontier that may go its own way."""
        return Frontier(self.size, self.hashes)

    def append(self, leaf: bytes) -> None:
        """Add the hash of one leaf."""
        hashes, bits = self.hashes, self.size
        while bits & 1:
            leaf = sha256(b"\1" + hashes.pop() + leaf).digest()
            bits >>= 1
        hashes.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """The Merkle tree hash of all leaves."""
        if not self.hashes:
            return EMPTY_ROOT
        result = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            result = sha256(b"\1" + left + result).digest()
        return result


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The Merkle tree hash of leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def split(size: int) -> int:
    """The largest power of two smaller than ``size``, which is at least 2."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_proof(index: int, size: int, node: Node) -> list[bytes]:
    """RFC 9162, 2.1.3.1: the path from a leaf to the root of the first ``size`` leaves."""
    if not 0 <= index < size:
        raise ValueError("there is no such leaf in a tree of this size")
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + split(high - low)
        if index < middle:
            path.append(node(middle, high))
            high = middle
        else:
            path.append(node(low, middle))
            low = middle
    return path[::-1]


def consistency_proof(old: int, new: int, node: Node) -> list[bytes]:
    """RFC 9162, 2.1.4.1: that the first ``old`` leaves of ``new`` are what they were."""
    if not 0 < old <= new:
        raise ValueError("a tree can only be consistent with a smaller one that is not empty")
    path: list[bytes] = []
    low, high, whole = 0, new, True
    while high != old:
        middle = low + split(high - low)
        if old <= middle:
            path.append(node(middle, high))
            high = middle
        else:
            path.append(node(low, middle))
            low, whole = middle, False
    if not whole:
        path.append(node(low, high))
    return path[::-1]


def root_from_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes:
    """RFC 9162, 2.1.3.2: the root that an inclusion proof leads to.

    :raises ValueError: if the proof does not fit index and size.
    """
    if not 0 <= index < size:
        raise ValueError("the index is not in the tree")
    first, last, result = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise ValueError("the proof is too long")
        if first & 1 or first == last:
            result = node_hash(sibling, result)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        first, last = first >> 1, last >> 1
    if last:
        raise ValueError("the proof is too short")
    return result


def consistent(old: int, new: int, roots: tuple[bytes, bytes], path: Sequence[bytes]) -> bool:
    """RFC 9162, 2.1.4.2: whether a proof shows that the old tree is a prefix of the new one."""
    if old == new:
        return not path and roots[0] == roots[1]
    if not 0 < old < new or not path:
        return False
    steps = list(path)
    if old & (old - 1) == 0:
        steps.insert(0, roots[0])
    first, last = old - 1, new - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    was = now = steps[0]
    for sibling in steps[1:]:
        if last == 0:
            return False
        if first & 1 or first == last:
            was, now = node_hash(sibling, was), node_hash(sibling, now)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            now = node_hash(now, sibling)
        first, last = first >> 1, last >> 1
    return last == 0 and (was, now) == roots
