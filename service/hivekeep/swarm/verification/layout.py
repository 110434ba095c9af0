"""A document as printed lines with neighbours: what stands left of, above and around a value.

Responsible for geometry and reading order; not for what any line means.  Invariant: a line's text
is always ``blocks[line.block].text[line.start:line.end]``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from hivekeep.domain.documents import Block, Box, Document
from hivekeep.domain.values import Evidence
from hivekeep.swarm.verification.text import Folded, fold_mapped

# Evidence beyond this much text is not looked for: no model has been shown more.
_MAX_CHARS = 2_000_000
_BANDS = 100
_SEPARATOR = re.compile(r"\n|\t+| \| |\s{3,}")


@dataclass(frozen=True, slots=True)
class Line:
    """One printed line, or one cell of a row: characters ``start`` to ``end`` of a block.

    ``row`` numbers the printed row; cells of one row share it.  ``index`` is the position among
    all lines of the document.
    """

    index: int
    row: int
    block: int
    page: int
    start: int
    end: int
    text: str
    box: Box | None


@dataclass(frozen=True, slots=True)
class Span:
    """Characters ``start`` to ``end`` of the line ``line``."""

    line: int
    start: int
    end: int


class Layout:
    """The lines of one document with lookups that are computed when first needed."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.lines = tuple(_lines(document))

    @cached_property
    def by_page(self) -> dict[int, list[Line]]:
        """The lines of each page."""
        pages: dict[int, list[Line]] = {}
        for line in self.lines:
            pages.setdefault(line.page, []).append(line)
        return pages

    @cached_property
    def folded(self) -> Folded:
        """All lines folded into one text, joined by spaces, so that values may span lines."""
        chars: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        for line, offset in zip(self.lines, self.offsets, strict=True):
            if chars and chars[-1] != " ":
                chars.append(" ")
                starts.append(offset - 1)
                ends.append(offset)
            piece = fold_mapped(line.text)
            chars.append(piece.text)
            starts.extend(offset + at for at in piece.starts)
            ends.extend(offset + at for at in piece.ends)
        return Folded("".join(chars), tuple(starts), tuple(ends))

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Where each line begins in the running text that ``folded`` refers to."""
        offsets = []
        at = 0
        for line in self.lines:
            offsets.append(at)
            at += len(line.text) + 1
        return tuple(offsets)

    def spans(self, start: int, end: int) -> tuple[Span, ...]:
        """The running-text span ``start:end`` as one span for each line it touches."""
        found = []
        low, high = 0, len(self.lines) - 1
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.offsets[middle] <= start else (low, middle - 1)
        for line in self.lines[low:]:
            offset = self.offsets[line.index]
            if offset >= end:
                break
            first, last = max(start - offset, 0), min(end - offset, len(line.text))
            if first < last:
                found.append(Span(line.index, first, last))
        return tuple(found)

    def evidence(self, spans: tuple[Span, ...]) -> tuple[Evidence, ...]:
        """Evidence for ``spans``; neighbouring spans within one block become one."""
        merged: list[tuple[Block, int, int]] = []
        for span in spans:
            line = self.lines[span.line]
            block = self.document.blocks[line.block]
            start, end = line.start + span.start, line.start + span.end
            if merged and merged[-1][0] is block and start >= merged[-1][2]:
                merged[-1] = (block, merged[-1][1], end)
            else:
                merged.append((block, start, end))
        return tuple(
            Evidence(
                block=block.index,
                page=block.page,
                start=start,
                end=end,
                quote=block.text[start:end],
                locator=block.locator,
            )
            for block, start, end in merged
        )

    def text(self, spans: tuple[Span, ...]) -> str:
        """What is printed at ``spans``, with single spaces."""
        parts = (self.lines[span.line].text[span.start : span.end] for span in spans)
        return " ".join(" ".join(parts).split())

    def left_of(self, line: Line) -> Iterator[Line]:
        """Cells on the same printed row to the left of ``line``, nearest first."""
        if line.box is None:
            at = line.index - 1
            while at >= 0 and self.lines[at].row == line.row:
                yield self.lines[at]
                at -= 1
            return
        same = [other for other in self._level(line) if _beside(other, line)]
        yield from sorted(same, key=lambda other: _nearness(other, line))

    def right_of(self, line: Line) -> Line | None:
        """The cell on the same printed row whose nearest left neighbour is ``line``."""
        if line.box is None:
            after = self.lines[line.index + 1 : line.index + 2]
            return after[0] if after and after[0].row == line.row else None
        right = [
            other for other in self._level(line) if _beside(line, other)
            and next(self.left_of(other), None) is line
        ]  # fmt: skip
        return min(right, key=lambda other: other.box.x0 if other.box else 0.0, default=None)

    def _level(self, line: Line) -> list[Line]:
        """The other lines of the page that are about as high as ``line``."""
        bands = {other.index: other for band in _bands(line) for other in self._by_band[band]}
        bands.pop(line.index, None)
        return list(bands.values())

    @cached_property
    def _by_band(self) -> dict[tuple[int, int], list[Line]]:
        bands: dict[tuple[int, int], list[Line]] = {}
        for line in self.lines:
            for band in _bands(line):
                bands.setdefault(band, []).append(line)
        return bands

    def above(self, line: Line, *, reach: int = 1) -> Iterator[Line]:
        """Lines over ``line`` in its column, nearest first, at most ``reach`` of them."""
        if line.box is None:
            rows = 0
            row = line.row
            for at in range(line.index - 1, -1, -1):
                other = self.lines[at]
                if other.page != line.page:
                    return
                if other.row != row:
                    rows += 1
                    row = other.row
                if rows > reach:
                    return
                if rows:
                    yield other
            return
        over = [
            other for other in self.by_page[line.page] if other is not line and _over(other, line)
        ]
        yield from sorted(over, key=lambda other: -_y(other))[:reach]

    def below(self, line: Line, *, reach: int = 1) -> list[Line]:
        """Lines under ``line`` that begin in its column, nearest first, at most ``reach``."""
        if line.box is None:
            rows: dict[int, Line] = {}
            for other in self.lines[line.index + 1 :]:
                if other.page != line.page or len(rows) > reach:
                    break
                if other.row != line.row:
                    rows.setdefault(other.row, other)
            return list(rows.values())[:reach]
        under = [
            other for other in self.by_page[line.page] if other is not line and _over(line, other)
        ]
        return sorted(under, key=_y)[:reach]


def is_near(one: Box, two: Box, heights: float) -> bool:
    """Whether two lines begin at most ``heights`` times the taller one's height apart."""
    return abs(two.y0 - one.y0) <= heights * max(one.y1 - one.y0, two.y1 - two.y0)


def _lines(document: Document) -> Iterator[Line]:
    index = row = used = 0
    for position, block in enumerate(document.blocks):
        used += len(block.text)
        if used > _MAX_CHARS:
            return
        rows = max(1, len(block.text.strip("\n").split("\n")))
        at = 0
        start_row = row
        for separator in [*_SEPARATOR.finditer(block.text), None]:
            end = separator.start() if separator else len(block.text)
            start = at + len(block.text[at:end]) - len(block.text[at:end].lstrip())
            stop = start + len(block.text[start:end].rstrip())
            if stop > start:
                box = _row_box(block.box, row - start_row, rows)
                text = block.text[start:stop]
                yield Line(index, row, position, block.page, start, stop, text, box)
                index += 1
            if separator:
                at = separator.end()
                if "\n" in separator.group():
                    row += 1
        row += 1


def _bands(line: Line) -> list[tuple[int, int]]:
    """The horizontal bands of a page that a line touches, for looking up its row quickly."""
    if line.box is None:
        return []
    first, last = int(line.box.y0 * _BANDS), int(line.box.y1 * _BANDS)
    return [(line.page, band) for band in range(first, last + 1)]


def _row_box(box: Box | None, row: int, rows: int) -> Box | None:
    if box is None or rows == 1:
        return box
    height = (box.y1 - box.y0) / rows
    top = box.y0 + min(row, rows - 1) * height
    return Box(box.x0, top, box.x1, top + height)


def _beside(other: Line, line: Line) -> bool:
    one, two = other.box, line.box
    if one is None or two is None:
        return False
    if other.block == line.block:
        return other.row == line.row and other.start < line.start
    overlap = min(one.y1, two.y1) - max(one.y0, two.y0)
    height = min(one.y1 - one.y0, two.y1 - two.y0)
    return one.x1 <= two.x0 + 0.01 and height > 0 and overlap > 0.4 * height


def _over(other: Line, line: Line) -> bool:
    one, two = other.box, line.box
    if one is None or two is None:
        return False
    if other.block == line.block:
        return other.row < line.row
    across = min(one.x1, two.x1) - max(one.x0, two.x0)
    return across > 0 and (one.y0 + one.y1) / 2 < two.y0 + 0.001


def _nearness(other: Line, line: Line) -> tuple[int, float]:
    # Cells of the line's own block have an order but no boxes of their own.
    if other.block == line.block:
        return 0, -other.start
    return 1, -other.box.x1 if other.box else 0.0


def _y(line: Line) -> float:
    return (line.box.y0 + line.box.y1) / 2 if line.box else 0.0
