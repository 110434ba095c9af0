"""Collects the blocks of a document while it is being read.

Responsible for cleaning, numbering, locators and the limits that all kinds of documents share; not
for knowing any format.  Invariant: a block is one line of at most ``LONGEST_BLOCK`` characters, and
nothing past a limit is ever dropped silently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from hivekeep.documents.cleaning import clean, squeeze
from hivekeep.documents.failures import Reason, display_name, failure
from hivekeep.documents.wire import MOST_BLOCKS, Pixels, Recognized
from hivekeep.domain.documents import Block, BlockKind, Box, ReadLimits

CELL = " | "
"""Between the cells of a row, and between the columns of a line."""
LONGEST_BLOCK = 2_000
_MOST_NOTES = 40


class Recognizer(Protocol):
    """Finds text in pictures."""

    def __call__(self, pixels: Pixels) -> Recognized:
        """What the picture says; ``why`` is set if it could not be looked at."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """Bytes to read. ``suffix`` is a hint in lower case, for example ``.csv``, never trusted."""

    name: str
    data: bytes
    suffix: str = ""
    depth: int = 0
    inline: bool = False


class Draft:
    """A document in the making, with its limits.

    :param emit: is handed each finished block.
    """

    def __init__(
        self,
        name: str,
        limits: ReadLimits,
        recognize: Recognizer,
        emit: Callable[[Block], None],
    ) -> None:
        self.name = name
        self.limits = limits
        self.metadata: dict[str, str] = {}
        self.media_type = ""
        self.pages = 0
        self.unpacked = 0
        self.ocr_pages = 0
        self.blocks = 0
        self._recognize = recognize
        self._emit = emit
        self._notes: dict[str, None] = {}
        self._characters = 0
        self._prefix = ""
        self._first_page = 0
        self._ocr_stopped = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for a person, each once."""
        kept = tuple(self._notes)
        if len(kept) <= _MOST_NOTES:
            return kept
        return (*kept[:_MOST_NOTES], f"And {len(kept) - _MOST_NOTES} more remarks.")

    def note(self, text: str) -> None:
        """Remark something for a person."""
        where = f"{self._prefix}: " if self._prefix else ""
        self._notes[where + squeeze(clean(text).text)[:400]] = None

    def describe(self, key: str, value: object) -> None:
        """Keep one piece of metadata; the outermost document's wins."""
        text = squeeze(clean(str(value)).text)[:500] if value else ""
        if text and not self._prefix:
            self.metadata.setdefault(key, text)

    def next_page(self) -> int:
        """Begin a page and return its number.

        :raises DocumentError: past the page limit.
        """
        self.pages += 1
        self.expect_pages(0)
        return self.pages

    def expect_pages(self, count: int) -> None:
        """:raises DocumentError: if ``count`` more pages would pass the page limit."""
        if self.pages + count > self.limits.max_pages:
            raise failure(
                self.name,
                Reason.TOO_MANY_PAGES,
                why=f"It has more than {self.limits.max_pages:,} pages, sheets or slides.",
            )

    def unpack(self, size: int) -> None:
        """Count ``size`` unpacked bytes.

        :raises DocumentError: past the limit.
        """
        self.unpacked += size
        if self.unpacked > self.limits.max_unpacked:
            raise failure(
                self.name,
                Reason.UNPACKED_TOO_LARGE,
                why=f"Its content is more than {self.limits.max_unpacked // 1024**2:,} MB.",
            )

    @contextmanager
    def inside(self, place: str) -> Iterator[None]:
        """Everything read meanwhile belongs to ``place``, for example ``attachment a.pdf``."""
        before = (self._prefix, self._first_page, self.media_type)
        self._prefix = f"{self._prefix}, {place}" if self._prefix else place
        self._first_page = self.pages
        try:
            yield
        finally:
            self._prefix, self._first_page, self.media_type = before

    def add(
        self,
        text: str,
        kind: BlockKind = BlockKind.PARAGRAPH,
        *,
        box: Box | None = None,
        locator: str = "",
        confidence: float | None = None,
    ) -> None:
        """Add text to the current page; nothing is added if nothing is left of it.

        :raises DocumentError: past the limit of text or blocks.
        """
        cleaned = clean(text)
        if cleaned.suspicious:
            self.note("Hidden control or direction characters were removed from the text.")
        line = squeeze(cleaned.text)
        if not line:
            return
        if not self.pages:
            self.next_page()
        place = self._locate(locator)
        for piece in _pieces(line):
            self._characters += len(piece)
            self.blocks += 1
            if self._characters > self.limits.max_text or self.blocks > MOST_BLOCKS:
                raise failure(
                    self.name,
                    Reason.TOO_LARGE,
                    why=f"It has more than {self.limits.max_text:,} characters"
                    f" or {MOST_BLOCKS:,} lines of text.",
                )
            self._emit(Block(self.blocks - 1, self.pages, piece, kind, box, place, confidence))

    def row(self, cells: list[str], *, locator: str = "", kind: BlockKind | None = None) -> None:
        """Add a row of cells; a row with a single filled cell is a paragraph."""
        filled = [squeeze(cell) for cell in cells]
        while filled and not filled[-1]:
            filled.pop()
        while filled and not filled[0]:
            filled.pop(0)
        shown: list[str] = []
        for cell in filled:
            # Some empty cells keep the columns apart, hundreds of them only cost.
            if cell or shown[-2:] != ["", ""]:
                shown.append(cell)
        single = BlockKind.PARAGRAPH if len(shown) == 1 else BlockKind.TABLE_ROW
        self.add(CELL.join(shown), kind or single, locator=locator)

    def recognize(self, pixels: Pixels, what: str) -> Recognized | None:
        """OCR of one picture within the budget, or ``None`` with a note why not."""
        if not self.limits.ocr:
            self._ocr_stopped = "reading pictures (OCR) is switched off"
        elif self.ocr_pages >= self.limits.ocr_max_pages:
            self._ocr_stopped = f"at most {self.limits.ocr_max_pages} pictures are read"
        if self._ocr_stopped:
            self.note(f"{what} was not read: {self._ocr_stopped}.")
            return None
        self.ocr_pages += 1
        found = self._recognize(pixels)
        if found.why:
            self._ocr_stopped = found.why
            self.note(f"{what} was not read: {found.why}.")
            return None
        return found

    def _locate(self, locator: str) -> str:
        if not self._prefix:
            return squeeze(clean(locator).text)
        page = f" p.{self.pages - self._first_page}" if self.pages > self._first_page else ""
        return display_name(f"{self._prefix}{page}{' ' if locator else ''}{locator}")


def _pieces(line: str) -> Iterator[str]:
    while len(line) > LONGEST_BLOCK:
        sentence = line.rfind(". ", LONGEST_BLOCK // 2, LONGEST_BLOCK)
        cut = sentence + 1 if sentence > 0 else line.rfind(" ", LONGEST_BLOCK // 2, LONGEST_BLOCK)
        cut = cut if cut > 0 else LONGEST_BLOCK
        yield line[:cut].rstrip()
        line = line[cut:].lstrip()
    if line:
        yield line
