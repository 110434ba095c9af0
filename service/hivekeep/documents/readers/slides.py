"""PPTX: slides with titles, text, tables and speaker notes.

Responsible for text in the order of the shapes; not for charts or SmartArt.  Invariant: every slide
is a page, also an empty one, so that page numbers match what a person sees.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any
from zipfile import BadZipFile

import pptx
from lxml.etree import LxmlError  # type: ignore[import-untyped]
from pptx.exc import PythonPptxError

from hivekeep.documents.failures import Reason, failure
from hivekeep.documents.readers.archive import check_archive
from hivekeep.documents.readers.draft import Draft, Source
from hivekeep.documents.readers.pictures import fraction_box
from hivekeep.documents.readers.word import read_embedded_picture
from hivekeep.domain.documents import BlockKind, Box

_DEEPEST_GROUP = 20


def read_pptx(draft: Draft, source: Source) -> None:
    """All slides; pictures are read on slides without other text."""
    check_archive(draft, source.data)
    try:
        deck = pptx.Presentation(io.BytesIO(source.data))
        draft.describe("title", deck.core_properties.title)
        draft.describe("author", deck.core_properties.author)
        draft.expect_pages(len(deck.slides))
        size = (float(deck.slide_width or 0), float(deck.slide_height or 0))
        for number, slide in enumerate(deck.slides, 1):
            draft.next_page()
            if slide._element.get("show") == "0":
                draft.note(f"Slide {number} is hidden; it was read too.")
            _Slide(draft, number, size).read(slide)
    except (PythonPptxError, LxmlError, BadZipFile, KeyError, ValueError, AttributeError) as error:
        if not draft.blocks:
            raise failure(
                draft.name, Reason.DAMAGED, why=f"It is no complete presentation: {error}"
            ) from error
        draft.note(f"A part of it could not be read: {error}")


class _Slide:
    def __init__(self, draft: Draft, number: int, size: tuple[float, float]) -> None:
        self._draft = draft
        self._number = number
        self._size = size
        self._pictures: list[Any] = []

    def read(self, slide: Any) -> None:
        before = self._draft.blocks
        self._shapes(slide.shapes, slide.shapes.title, depth=0)
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            for paragraph in slide.notes_slide.notes_text_frame.paragraphs:
                place = f"slide {self._number} notes"
                self._draft.add(_text(paragraph), BlockKind.NOTE, locator=place)
        if self._draft.blocks == before:
            for picture in self._pictures:
                what = f"The picture on slide {self._number}"
                read_embedded_picture(self._draft, picture.image.blob, what)
        elif self._pictures:
            self._draft.note("Pictures on slides with text were not read.")

    def _shapes(self, shapes: Iterable[Any], title: Any, depth: int) -> None:
        for shape in shapes:
            inner = getattr(shape, "shapes", None)
            if inner is not None:
                if depth < _DEEPEST_GROUP:
                    self._shapes(inner, None, depth + 1)
            elif getattr(shape, "has_table", False):
                self._table(shape)
            elif shape.has_text_frame:
                is_title = title is not None and shape.shape_id == title.shape_id
                self._frame(shape, is_title, grouped=depth > 0)
            elif getattr(shape, "image", None) is not None:
                self._pictures.append(shape)

    def _frame(self, shape: Any, is_title: bool, *, grouped: bool) -> None:
        box = None if grouped else self._box(shape)
        for paragraph in shape.text_frame.paragraphs:
            kind = BlockKind.HEADING if is_title else BlockKind.PARAGRAPH
            kind = BlockKind.LIST_ITEM if paragraph.level else kind
            self._draft.add(_text(paragraph), kind, box=box, locator=f"slide {self._number}")

    def _table(self, shape: Any) -> None:
        for number, row in enumerate(shape.table.rows, 1):
            place = f"slide {self._number} table row {number}"
            self._draft.row([cell.text for cell in row.cells], locator=place)

    def _box(self, shape: Any) -> Box | None:
        sides = (shape.left, shape.top, shape.width, shape.height)
        if any(side is None for side in sides) or not all(self._size):
            return None
        left, top, width, height = (float(side) for side in sides)
        return fraction_box((left, top, left + width, top + height), self._size)


def _text(paragraph: Any) -> str:
    return str(paragraph.text).replace("\v", " ")
