"""From words with positions to lines in reading order.

Responsible for what a person sees as one line, one column and one paragraph; it knows neither PDF
nor OCR.  Coordinates grow to the right and downwards in any one unit.  Invariant: every word comes
out exactly once, and the cells of one row follow each other from left to right.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from hivekeep.domain.documents import BlockKind

# In units of the line height: what is a gap between columns, and what is no gap at all.
_COLUMN_GAP = 1.2
_TOUCHING = 0.12
_SAME_LINE = 0.4
_GUTTER_LINES = 6
_GUTTER_TEXT = 25
_FULL_LINE = 0.85
_LONGEST_PARAGRAPH = 1_200
_ITEM = re.compile(r"^\s*(?:[-•·*–▪◦‣]|\(?\d{1,3}[.)]|\(?[a-z][.)]|§|\d+(?:\.\d+)+)\s")


@dataclass(frozen=True, slots=True)
class Word:
    """A run of text without a break. ``space`` tells whether white space stood before it."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float
    space: bool = True
    confidence: float | None = None

    @property
    def height(self) -> float:
        return max(self.y1 - self.y0, 1e-6)

    @property
    def middle(self) -> float:
        return (self.y0 + self.y1) / 2


@dataclass(frozen=True, slots=True)
class Line:
    """One visual line, a cell of one (``columns``), or a paragraph of lines."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float
    height: float
    columns: bool = False
    confidence: float | None = None
    kind: BlockKind = BlockKind.PARAGRAPH


def arrange(words: list[Word]) -> list[Line]:
    """Lines and tight paragraphs in reading order."""
    if not words:
        return []
    rows = _split_columns(_rows(words))
    lines = [line for row in rows for line in _cells(row)]
    usual = median(line.height for line in lines)
    return [_with_kind(line, usual) for line in _paragraphs(lines)]


def _rows(words: list[Word]) -> list[list[Word]]:
    """Words grouped by what stands on one line, top to bottom, each row left to right."""
    rows: list[list[Word]] = []
    middles: list[float] = []
    heights: list[float] = []
    for word in sorted(words, key=lambda word: (word.middle, word.x0)):
        for index in range(len(rows) - 1, max(len(rows) - 6, -1), -1):
            tolerance = _SAME_LINE * min(heights[index], word.height)
            if abs(word.middle - middles[index]) <= tolerance:
                rows[index].append(word)
                break
        else:
            rows.append([word])
            middles.append(word.middle)
            heights.append(word.height)
    return [sorted(row, key=lambda word: word.x0) for row in rows]


def _gap(left: Word, right: Word) -> float:
    return (right.x0 - left.x1) / max(left.height, right.height)


def _split_columns(rows: list[list[Word]]) -> list[list[Word]]:
    """Read newspaper columns one after the other; leave forms and tables as they are.

    Columns are prose if an empty gutter runs down several lines and the text on both sides is long
    and made of letters.
    """
    result: list[list[Word]] = []
    start = 0
    while start < len(rows):
        end, gutter = _gutter(rows, start)
        if gutter is not None:
            left = [[word for word in row if word.x1 <= gutter] for row in rows[start:end]]
            right = [[word for word in row if word.x1 > gutter] for row in rows[start:end]]
            if _is_prose(left) and _is_prose(right):
                result += [row for row in [*left, *right] if row]
                start = end
                continue
        result.append(rows[start])
        start += 1
    return result


def _gutter(rows: list[list[Word]], start: int) -> tuple[int, float | None]:
    """Where the run of lines that share an empty gutter ends, and the gutter's position."""
    gaps = [(a, b) for a, b in pairwise(rows[start]) if _gap(a, b) > 0.8]
    if len(gaps) != 1:
        return start, None
    low, high = gaps[0][0].x1, gaps[0][1].x0
    both = 0
    end = start
    for row in rows[start:]:
        inside = [word for word in row if word.x0 < high and word.x1 > low]
        reach_low = max((word.x1 for word in row if word.x0 < (low + high) / 2), default=low)
        reach_high = min((word.x0 for word in row if word.x0 >= (low + high) / 2), default=high)
        if inside and reach_high - reach_low < 0.5 * row[0].height:
            break
        low, high = max(low, reach_low), min(high, reach_high)
        if high <= low:
            break
        both += row[0].x0 < low and row[-1].x1 > high
        end += 1
    return (end, (low + high) / 2) if both >= _GUTTER_LINES else (start, None)


def _is_prose(rows: list[list[Word]]) -> bool:
    texts = [" ".join(word.text for word in row) for row in rows if row]
    if len(texts) < _GUTTER_LINES or median(map(len, texts)) < _GUTTER_TEXT:
        return False
    joined = "".join(texts)
    return sum(map(str.isalpha, joined)) > 0.72 * len(joined)


def _cells(row: list[Word]) -> list[Line]:
    """A row's text, one line for each part that a column gap sets apart."""
    parts: list[list[Word]] = [[row[0]]]
    for left, right in pairwise(row):
        if _gap(left, right) > _COLUMN_GAP:
            parts.append([])
        parts[-1].append(right)
    return [_line(part, columns=len(parts) > 1) for part in parts]


def _line(row: list[Word], *, columns: bool) -> Line:
    text = row[0].text
    for left, right in pairwise(row):
        if right.space or _gap(left, right) > _TOUCHING:
            text += " "
        text += right.text
    known = [word.confidence for word in row if word.confidence is not None]
    return Line(
        text,
        min(word.x0 for word in row),
        min(word.y0 for word in row),
        max(word.x1 for word in row),
        max(word.y1 for word in row),
        median(word.height for word in row),
        columns,
        min(known) if known else None,
    )


def _paragraphs(lines: list[Line]) -> list[Line]:
    """Join the wrapped lines of running text; short lines, rows and items stay alone."""
    result: list[Line] = []
    widest: dict[int, float] = {}
    for line in lines:
        if not line.columns:
            key = round(line.x0 / line.height)
            widest[key] = max(widest.get(key, 0.0), line.x1 - line.x0)
    last: Line | None = None
    for line in lines:
        if last is not None and _continues(last, line, widest) and result:
            whole = result[-1]
            if len(whole.text) + len(line.text) < _LONGEST_PARAGRAPH:
                result[-1] = _join(whole, line)
                last = line
                continue
        result.append(line)
        last = line
    return result


def _continues(last: Line, line: Line, widest: dict[int, float]) -> bool:
    height = max(last.height, line.height)
    if last.columns or line.columns or len(last.text) < 40 or _ITEM.match(line.text):
        return False
    if abs(last.height - line.height) > 0.15 * height or not 0 < line.y0 - last.y0 < 1.9 * height:
        return False
    indent = (last.x0 - line.x0) / height
    full = widest.get(round(last.x0 / last.height), 0.0)
    return -0.6 < indent < 2.5 and last.x1 - last.x0 >= _FULL_LINE * full


def _join(whole: Line, line: Line) -> Line:
    known = [value for value in (whole.confidence, line.confidence) if value is not None]
    if whole.text.endswith("-") and whole.text[-2:-1].isalpha() and line.text[:1].islower():
        text = whole.text[:-1] + line.text
    else:
        text = f"{whole.text} {line.text}"
    return replace(
        whole,
        text=text,
        x0=min(whole.x0, line.x0),
        x1=max(whole.x1, line.x1),
        y1=line.y1,
        confidence=min(known) if known else None,
    )


def _with_kind(line: Line, usual: float) -> Line:
    if line.columns:
        return replace(line, kind=BlockKind.TABLE_ROW)
    if line.height > 1.3 * usual and len(line.text) < 120:
        return replace(line, kind=BlockKind.HEADING)
    if _ITEM.match(line.text):
        return replace(line, kind=BlockKind.LIST_ITEM)
    return line
