"""Parties that a letter's layout names without labels: its one-line sender, the window below it.

Responsible for the two places that business letters share (DIN 5008, NF Z 11-001): a small line
"Company - street - post code town", and the address below it in the same column; not for labelled
names.  Invariant: only the upper half of the first page is a letterhead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from hivekeep.swarm.verification.layout import Layout, Line, Span
from hivekeep.swarm.verification.text import squeeze

_UPPER_HALF = 0.5
_REACH = 8
_WINDOW = 6
_PARTS = re.compile(r"\s+[-–—|]\s+|\s*[●•·∙▪*|]\s*|\s*,\s+")
_TOWN = re.compile(r"^(?:[A-Z]{1,3}[- ]?)?\d{4,6}\s*[^\W\d]{2,}")


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
            if len(parts) < 3 or not any(_TOWN.match(text) for _, text in parts[1:]):
                continue
            start, name = parts[0]
            if self._could_be(name):
                return line, Span(line.index, start, start + len(name))
        return None

    def addressee(self, sender: Line) -> Span | None:
        """The name at the top of the address that stands below the sender's line."""
        column = self._layout.below(sender, reach=_REACH)
        own = squeeze(sender.text)
        towns = [at for at, line in enumerate(column[:_WINDOW]) if _TOWN.match(line.text)]
        for line in column[: towns[0] if towns else 0]:
            if squeeze(line.text) in own or not self._starts_together(sender, line):
                continue
            if self._could_be(line.text):
                return Span(line.index, 0, len(line.text))
        return None

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
