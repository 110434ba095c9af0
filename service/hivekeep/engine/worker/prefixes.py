"""A radix tree of the token sequences that slots hold.

Responsible for answering which slots hold the longest beginning of a prompt, and how much of a
slot's tokens no other slot holds; not for what is done with the answer.  Invariant: a node's
holders are exactly the slots whose tokens run through the whole of it, so their number is the
node's reference count, and a node without holders does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Match:
    """The ``holders`` that have the first ``length`` tokens of what was looked for."""

    length: int
    holders: frozenset[int]


@dataclass(slots=True, eq=False)
class _Node:
    edge: list[int]
    parent: _Node | None
    start: int
    holders: set[int] = field(default_factory=set)
    children: dict[int, _Node] = field(default_factory=dict)

    @property
    def end(self) -> int:
        return self.start + len(self.edge)


class PrefixTree:
    """Sequences by holder; each holder has one, empty at first."""

    def __init__(self) -> None:
        self._root = _Node([], None, 0)
        self._ends: dict[int, _Node] = {}

    def length(self, holder: int) -> int:
        """How many tokens the holder has."""
        return self._ends.get(holder, self._root).end

    def longest(self, tokens: list[int]) -> Match:
        """The longest beginning of ``tokens`` that anyone holds, and who does."""
        node, at = self._root, 0
        while at < len(tokens):
            child = node.children.get(tokens[at])
            if child is None:
                break
            same = common_prefix(child.edge, tokens[at : at + len(child.edge)])
            at += same
            node = child
            if same < len(child.edge):
                break
        return Match(at, frozenset(node.holders) if at else frozenset())

    def shared_with(self, holder: int, tokens: list[int]) -> int:
        """How many of the first ``tokens`` this holder has."""
        node, at = self._root, 0
        while at < len(tokens):
            child = node.children.get(tokens[at])
            if child is None or holder not in child.holders:
                break
            same = common_prefix(child.edge, tokens[at : at + len(child.edge)])
            at += same
            node = child
            if same < len(child.edge):
                break
        return at

    def unique(self, holder: int) -> int:
        """How many of the holder's last tokens nobody else holds: what overwriting it loses."""
        node: _Node | None = self._ends.get(holder)
        count = 0
        while node is not None and node.parent is not None and len(node.holders) == 1:
            count += len(node.edge)
            node = node.parent
        return count

    def extend(self, holder: int, tokens: list[int]) -> None:
        """The holder has ``tokens`` after those it had."""
        begin = node = self._ends.get(holder, self._root)
        at = 0
        if node.parent is not None and len(node.holders) == 1 and not node.children:
            node.edge.extend(tokens)
            return
        while at < len(tokens):
            child = node.children.get(tokens[at])
            if child is None:
                child = _Node(list(tokens[at:]), node, node.end)
                node.children[tokens[at]] = child
            else:
                same = common_prefix(child.edge, tokens[at : at + len(child.edge)])
                if same < len(child.edge):
                    self._split(child, same)
            child.holders.add(holder)
            at += len(child.edge)
            node = child
        self._ends[holder] = node
        self._join(begin)

    def cut(self, holder: int, keep: int) -> None:
        """The holder has only its first ``keep`` tokens."""
        node = self._ends.get(holder, self._root)
        while node.parent is not None and node.end > keep:
            if node.start < keep:
                node = self._split(node, keep - node.start)
            parent = node.parent
            assert parent is not None
            node.holders.discard(holder)
            if not node.holders:
                del parent.children[node.edge[0]]
            else:
                self._join(node)
            node = self._ends[holder] = parent
        if node.parent is None:
            self._ends.pop(holder, None)

    def nodes(self) -> int:
        """How many nodes there are, the root not counted."""
        count, rest = -1, [self._root]
        while rest:
            node = rest.pop()
            count += 1
            rest.extend(node.children.values())
        return count

    def _split(self, node: _Node, at: int) -> _Node:
        """Let ``node`` keep its first ``at`` tokens; the new child that has the rest."""
        rest = _Node(node.edge[at:], node, node.start + at, set(node.holders), node.children)
        for child in rest.children.values():
            child.parent = rest
        for holder in rest.holders:
            if self._ends.get(holder) is node:
                self._ends[holder] = rest
        node.edge, node.children = node.edge[:at], {rest.edge[0]: rest}
        return rest

    def _join(self, node: _Node) -> None:
        """Undo a split that nobody needs any more: an only child with the same holders."""
        if node.parent is None or len(node.children) != 1:
            return
        (child,) = node.children.values()
        if child.holders != node.holders:
            return
        node.edge.extend(child.edge)
        node.children = child.children
        for grandchild in node.children.values():
            grandchild.parent = node
        for holder in node.holders:
            if self._ends.get(holder) is child:
                self._ends[holder] = node


def common_prefix(one: list[int], two: list[int]) -> int:
    """How many tokens two sequences share at their beginning."""
    length = min(len(one), len(two))
    if one[:length] == two[:length]:
        return length
    low, high = 0, length
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == two[:middle] else (low, middle - 1)
    return low
