"""The text of one PDF page as lines with their places.

Responsible for PDFium's characters and their boxes, for turned pages and turned text; ``layout``
decides what belongs together.  Invariant: every visible character comes out once, in coordinates
of the page as it is shown.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator
from dataclasses import dataclass

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from hivekeep.documents.readers.layout import Word, arrange
from hivekeep.documents.readers.pictures import fraction_box
from hivekeep.domain.documents import BlockKind, Box

_MOST_CHARACTERS = 1_000_000
_BREAK = 0.6
"""A gap within a word, in heights, that ends it although no space was stored."""

Corners = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Run:
    """One line or paragraph of a page."""

    text: str
    kind: BlockKind
    box: Box


def page_runs(page: pdfium.PdfPage) -> tuple[list[Run], bool]:
    """The lines of a page in reading order, and whether text outside the page was left out."""
    text_page = page.get_textpage()
    try:
        spans = list(_spans(text_page, _Frame(page)))
    finally:
        text_page.close()
    width, height = page.get_size()
    outside = False
    turned: dict[int, list[Word]] = {}
    for word, turns in spans:
        if word.x1 <= 0 or word.y1 <= 0 or word.x0 >= width or word.y0 >= height:
            outside = True
        else:
            turned.setdefault(turns, []).append(_turn(word, turns, (width, height)))
    runs = []
    # Upright text first; turned text (margins, stamps) is set apart as if its page were turned.
    for turns in sorted(turned, key=lambda turns: (-len(turned[turns]), turns)):
        for line in arrange(turned[turns]):
            corners = (line.x0, line.y0, line.x1, line.y1)
            upright = _turn_back(corners, turns, (width, height))
            runs.append(Run(line.text, line.kind, fraction_box(upright, (width, height))))
    return runs, outside


class _Frame:
    """From PDF user space to the shown page: origin top left, after cropping and rotation."""

    def __init__(self, page: pdfium.PdfPage) -> None:
        box = pdfium_c.FS_RECTF()
        if not pdfium_c.FPDF_GetPageBoundingBox(page, box):
            box.left, box.bottom = 0.0, 0.0
            box.right, box.top = page.get_size()
        self._edges = (box.left, box.bottom, box.right, box.top)
        self._rotation = page.get_rotation()
        self.turns = self._rotation // 90

    def place(self, left: float, bottom: float, right: float, top: float) -> Corners:
        low_x, low_y, high_x, high_y = self._edges
        if self._rotation == 90:
            return (bottom - low_y, left - low_x, top - low_y, right - low_x)
        if self._rotation == 180:
            return (high_x - right, bottom - low_y, high_x - left, top - low_y)
        if self._rotation == 270:
            return (high_y - top, high_x - right, high_y - bottom, high_x - left)
        return (left - low_x, high_y - top, right - low_x, high_y - bottom)


def _characters(text_page: pdfium.PdfTextPage) -> Iterator[tuple[int, str]]:
    count = min(text_page.count_chars(), _MOST_CHARACTERS)
    text = text_page.get_text_range(0, count) if count > 0 else ""
    if len(text) == count:
        yield from enumerate(text)
        return
    for index in range(count):
        code = pdfium_c.FPDFText_GetUnicode(text_page, index)
        yield index, chr(code) if code < 0x110000 else "\ufffd"


def _spans(text_page: pdfium.PdfTextPage, frame: _Frame) -> Iterator[tuple[Word, int]]:
    """Words with the number of quarter turns (clockwise, as shown) of their text."""
    rectangle = pdfium_c.FS_RECTF()
    pointer = ctypes.byref(rectangle)
    handle = text_page.raw
    box_of = pdfium_c.FPDFText_GetLooseCharBox
    letters: list[str] = []
    corners: Corners = (0.0, 0.0, 0.0, 0.0)
    first, space, turns = 0, True, 0
    for index, letter in _characters(text_page):
        if letter.isspace() or letter == "\x00" or not box_of(handle, index, pointer):
            if letters:
                yield _word(letters, corners, space=space), turns
                letters, space = [], True
            space = space or letter.isspace()
            continue
        here = frame.place(rectangle.left, rectangle.bottom, rectangle.right, rectangle.top)
        if letters and _jumps(corners, here, turns):
            yield _word(letters, corners, space=space), turns
            letters, space = [], False
        if letters:
            corners = (
                min(corners[0], here[0]), min(corners[1], here[1]),
                max(corners[2], here[2]), max(corners[3], here[3]),
            )  # fmt: skip
        else:
            first, corners = index, here
            angle = pdfium_c.FPDFText_GetCharAngle(handle, first)
            quarter = round(angle / (math.pi / 2)) if math.isfinite(angle) else 0
            turns = (quarter + frame.turns) % 4
        # A soft hyphen at the end of a line comes out as this noncharacter.
        letters.append("-" if letter == "\ufffe" else letter)
    if letters:
        yield _word(letters, corners, space=space), turns


def _jumps(word: Corners, here: Corners, turns: int) -> bool:
    """Whether a character cannot belong to the word before it, along the text's direction."""
    along = (1, 3, 0, 2) if turns % 2 else (0, 2, 1, 3)
    start, end, low, high = (word[i] for i in along)
    next_start, next_end, next_low, next_high = (here[i] for i in along)
    height = max(high - low, 1e-6)
    apart = max(next_start - end, start - next_end)
    off = abs((next_low + next_high) - (low + high)) / 2
    return apart > _BREAK * height or off > 0.5 * height


def _word(letters: list[str], corners: Corners, *, space: bool) -> Word:
    return Word("".join(letters), *corners, space=space)


def _turn(word: Word, turns: int, size: tuple[float, float]) -> Word:
    if not turns:
        return word
    width, height = size
    x0, y0, x1, y1 = word.x0, word.y0, word.x1, word.y1
    if turns == 1:
        corners = (y0, width - x1, y1, width - x0)
    elif turns == 2:
        corners = (width - x1, height - y1, width - x0, height - y0)
    else:
        corners = (height - y1, x0, height - y0, x1)
    return Word(word.text, *corners, space=word.space)


def _turn_back(corners: Corners, turns: int, size: tuple[float, float]) -> Corners:
    width, height = size
    x0, y0, x1, y1 = corners
    if turns == 1:
        return (width - y1, x0, width - y0, x1)
    if turns == 2:
        return (width - x1, height - y1, width - x0, height - y0)
    if turns == 3:
        return (y0, height - x1, y1, height - x0)
    return corners
