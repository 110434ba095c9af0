"""Parties that a letter's layout names without labels: its one-line sender, the window below it.

Responsible for the two places that business letters share (DIN 5008, NF Z 11-001): a small line
"Company - street - post code town", and the address below it in the same column or, on the right,
apart from it; not for labelled names.  Invariant: only the upper half of the first page is a
letterhead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from hivekeep.swarm.verification.addresses import is_address, is_town
from hivekeep.swarm.verification.layout import Layout, Line, Span, is_near
from hivekeep.swarm.verification.text import squeeze

_UPPER_HALF = 0.5
_REACH = 8
_WINDOW = 6
_LEAST_ABOVE_TOWN = 2
_LEVEL = 0.01
# Windows are printed with up to two empty lines between a name and its street.
_LOOSE = 3.5
_PARTS = re.compile(r"\s+[-–—|]\s+|\s*[●•·∙▪*|]\s*|\s*,\s+")


class Letterhead:
    """Reads the head of one document's first page.

    :param could_be: whether a line of text can be a name at all.
    """

    def __init__(self, layout: Layout, could_be: Callable[[str], bool]) -> None:
        self._layout = layout
        self._could_be = could_be

    def sender(self) -> tuple[Line, Span] | None:
        """The one-line sender and the name in it."""
        for line in self._head():
            parts = list(_split(line.text))
            if len(parts) < 3 or not any(is_town(text) for _, text in parts[1:]):
                continue
            start, name = parts[0]
            if self._could_be(name):
                return line, Span(line.index, start, start + len(name))
        return None

    def addressee(self, sender: Line) -> Span | None:
        """The name over the address below the sender's line, else over the only other one."""
        column = self._layout.below(sender, reach=_REACH)
        own = squeeze(sender.text)
        towns = [at for at, line in enumerate(column[:_WINDOW]) if is_town(line.text)]
        for line in column[: towns[0] if towns else 0]:
            if squeeze(line.text) in own or not self._starts_together(sender, line):
                continue
            if self._could_be(line.text):
                return Span(line.index, 0, len(line.text))
        return self._elsewhere(own)

    def _elsewhere(self, sender: str) -> Span | None:
        """The name over the head's only address that has no label and is not the sender's."""
        found: dict[str, Span] = {}
        for town in self._head():
            if town.box is None or not is_town(town.text) or squeeze(town.text) in sender:
                continue
            block = self._block_above(town)
            parts = all(self._could_be(line.text) or is_address(line.text) for line in block)
            if len(block) < _LEAST_ABOVE_TOWN or not parts or not self._could_be(block[-1].text):
                continue
            name = squeeze(block[-1].text)
            if name not in sender:
                found.setdefault(name, Span(block[-1].index, 0, len(block[-1].text)))
        return next(iter(found.values())) if len(found) == 1 else None

    def _block_above(self, line: Line) -> list[Line]:
        """The lines of one paragraph above its last one, nearest first."""
        block: list[Line] = []
        for other in self._layout.above(line, reach=_WINDOW):
            below = block[-1] if block else line
            if other.box is None or below.box is None or abs(other.box.x0 - below.box.x0) > _LEVEL:
                break
            if not is_near(other.box, below.box, _LOOSE):
                break
            block.append(other)
        return block

    def _head(self) -> Iterator[Line]:
        for line in self._layout.by_page.get(1, []):
            if line.box is None or line.box.y0 <= _UPPER_HALF:
                yield line

    @staticmethod
    def _starts_together(one: Line, two: Line) -> bool:
        return one.box is None or two.box is None or abs(one.box.x0 - two.box.x0) < 0.04


def _split(text: str) -> Iterator[tuple[int, str]]:
    """The parts of a one-line address with their positions."""
    at = 0
    for separator in [*_PARTS.finditer(text), None]:
        end = separator.start() if separator else len(text)
        if text[at:end].strip():
            start = at + len(text[at:end]) - len(text[at:end].lstrip())
            yield start, text[start:end].rstrip()
        at = separator.end() if separator else end
