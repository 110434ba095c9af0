"""What a reader hands on: a document as an ordered tuple of positioned blocks.

A block keeps its page, place and text, so that every value taken from it can point back at the
characters it came from.  There is never one flat string.  All document text is untrusted data.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class BlockKind(StrEnum):
    """What a block is in its document; it steers relevance, never trust."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST_ITEM = "list_item"
    TABLE_ROW = "table_row"
    HEADER_FIELD = "header_field"
    FORM_FIELD = "form_field"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle as fractions (0 to 1) of its page, origin at the top left."""

    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of text with its place.

    ``index`` is its position in ``Document.blocks``.  ``page`` counts from 1 (a sheet or a slide is
    a page; a mail or text file has one page).  ``locator`` names the place for a person where a
    page is not enough, for example ``Sheet1!A3:D3``, ``slide 2 notes`` or ``attachment a.pdf p.1``.
    ``confidence`` is the OCR's own estimate from 0 to 1, ``None`` for real text.
    """

    index: int
    page: int
    text: str
    kind: BlockKind = BlockKind.PARAGRAPH
    box: Box | None = None
    locator: str = ""
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A document that was read: identity, blocks in reading order, and what the reader noticed.

    ``media_type`` is what the content was found to be, not what its name claims.  ``sha256`` is the
    hex digest of the file's bytes as read.  ``notes`` are remarks for a person, for example that a
    page was read by OCR or that pages past the limit were left out.
    """

    name: str
    media_type: str
    sha256: str
    size: int
    pages: int
    blocks: tuple[Block, ...]
    notes: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """What one document may cost; past any of them it fails with a reason.

    Sizes are bytes, ``seconds`` is wall-clock time for the whole document, ``max_memory`` bounds
    the reader process's address space, ``max_unpacked`` what an archive-based file may expand to.
    """

    seconds: float = 120.0
    max_memory: int = 3 * 1024**3
    max_file_size: int = 200 * 1024**2
    max_pages: int = 2_000
    max_unpacked: int = 1024**3
    max_text: int = 20_000_000
    ocr: bool = True
    ocr_max_pages: int = 50
