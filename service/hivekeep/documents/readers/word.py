"""DOCX: paragraphs and tables in order, headers and footers, notes, text boxes.

Responsible for what a Word document says and on which page, as far as Word stored page breaks; not
for its looks.  Invariant: deleted text (tracked changes) and field codes are not text.
"""

from __future__ import annotations

import io
import posixpath
from collections.abc import Iterator
from typing import Any
from zipfile import BadZipFile

import docx
from docx.document import Document as WordDocument
from docx.opc.exceptions import OpcError
from docx.oxml import parse_xml
from lxml.etree import LxmlError  # type: ignore[import-untyped]
from PIL import Image

from hivekeep.documents.failures import Reason, failure
from hivekeep.documents.readers.archive import check_archive
from hivekeep.documents.readers.draft import Draft, Source
from hivekeep.documents.readers.pictures import recognize_image
from hivekeep.domain.documents import BlockKind

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_TEXT_BOX = f"{_W}txbxContent"
_PARTS = {"footnotes": "footnotes", "endnotes": "endnotes", "comments": "comments"}
_SKIPPED = {f"{_W}del", f"{_W}moveFrom", f"{_W}pPr", f"{_W}rPr", f"{_W}instrText", _FALLBACK}
_SPACES = {f"{_W}tab": "\t", f"{_W}br": " ", f"{_W}cr": " ", f"{_W}noBreakHyphen": "-"}
_HEADINGS = ("heading", "title", "überschrift", "titre")
_MOST_PICTURES = 50


def read_docx(draft: Draft, source: Source) -> None:
    """The whole document; pictures are read only if there is no other text."""
    check_archive(draft, source.data)
    try:
        document = docx.Document(io.BytesIO(source.data))
        _describe(draft, document)
        draft.next_page()
        _Body(draft, document).read()
        _read_margins(draft, document)
        _read_notes(draft, document)
    except (OpcError, LxmlError, BadZipFile, KeyError, ValueError, AttributeError) as error:
        if not draft.blocks:
            raise failure(
                draft.name, Reason.DAMAGED, why=f"It is no complete Word document: {error}"
            ) from error
        draft.note(f"A part of it could not be read: {error}")
    else:
        _read_pictures(draft, document, needed=not draft.blocks)


def _describe(draft: Draft, document: WordDocument) -> None:
    properties = document.core_properties
    draft.describe("title", properties.title)
    draft.describe("author", properties.author)


class _Body:
    """Walks the document's XML in order."""

    def __init__(self, draft: Draft, document: WordDocument) -> None:
        self._draft = draft
        self._root = document.element.body
        self._styles = {style.style_id: style.name or "" for style in document.styles}
        # Word stores where its pages ended; without that, only explicit breaks are known.
        stored = next(self._root.iter(f"{_W}lastRenderedPageBreak"), None)
        self._break = f"{_W}lastRenderedPageBreak" if stored is not None else f"{_W}br"

    def read(self) -> None:
        self._walk(self._root)

    def _walk(self, container: Any) -> None:
        for element in container:
            if element.tag == f"{_W}p":
                self._paragraph(element)
            elif element.tag == f"{_W}tbl":
                self._table(element)
            elif isinstance(element.tag, str) and element.tag not in _SKIPPED:
                self._walk(element)

    def _paragraph(self, paragraph: Any) -> None:
        breaks = [
            item
            for item in paragraph.iter(self._break)
            if item.tag != f"{_W}br" or item.get(f"{_W}type") == "page"
        ]
        for _ in breaks:
            self._draft.next_page()
        self._draft.add(paragraph_text(paragraph), self._kind(paragraph))
        for box in paragraph.iter(_TEXT_BOX):
            if not any(parent.tag == _FALLBACK for parent in box.iterancestors()):
                self._walk(box)

    def _kind(self, paragraph: Any) -> BlockKind:
        style = paragraph.find(f"{_W}pPr/{_W}pStyle")
        name = self._styles.get(style.get(f"{_W}val"), "").lower() if style is not None else ""
        if name.startswith(_HEADINGS):
            return BlockKind.HEADING
        numbered = paragraph.find(f"{_W}pPr/{_W}numPr") is not None
        return BlockKind.LIST_ITEM if numbered or name.startswith("list") else BlockKind.PARAGRAPH

    def _table(self, table: Any) -> None:
        for number, row in enumerate(_within(table, f"{_W}tr"), 1):
            for _ in row.iter(f"{_W}lastRenderedPageBreak"):
                self._draft.next_page()
            cells = [
                " ".join(paragraph_text(paragraph) for paragraph in cell.iter(f"{_W}p"))
                for cell in _within(row, f"{_W}tc")
            ]
            self._draft.row(cells, locator=f"table row {number}")


def _within(container: Any, tag: str) -> Iterator[Any]:
    """Children of a tag, also where a content control or a tracked change wraps them."""
    for element in container:
        if element.tag == tag:
            yield element
        elif isinstance(element.tag, str) and element.tag not in _SKIPPED:
            yield from _within(element, tag)


def paragraph_text(paragraph: Any) -> str:
    """The visible text of one paragraph, without text boxes anchored in it."""
    return "".join(_runs(paragraph)).strip().replace("\t", "   ")


def _runs(element: Any) -> Iterator[str]:
    for child in element:
        if child.tag == f"{_W}t":
            yield child.text or ""
        elif child.tag in _SPACES:
            yield _SPACES[child.tag]
        elif isinstance(child.tag, str) and child.tag not in {*_SKIPPED, _TEXT_BOX}:
            yield from _runs(child)


def _read_margins(draft: Draft, document: WordDocument) -> None:
    seen: set[str] = set()
    for section in document.sections:
        for name in ("header", "first_page_header", "footer", "first_page_footer"):
            part = getattr(section, name)
            if part.is_linked_to_previous:
                continue
            for paragraph in part._element.iter(f"{_W}p"):
                text = paragraph_text(paragraph)
                if text and text not in seen:
                    seen.add(text)
                    draft.add(text, BlockKind.NOTE, locator=name.replace("_", " "))


def _read_notes(draft: Draft, document: WordDocument) -> None:
    for relation in document.part.rels.values():
        kind = posixpath.basename(relation.reltype)
        if relation.is_external or kind not in _PARTS:
            continue
        for paragraph in parse_xml(relation.target_part.blob).iter(f"{_W}p"):
            draft.add(paragraph_text(paragraph), BlockKind.NOTE, locator=_PARTS[kind])


def _read_pictures(draft: Draft, document: WordDocument, *, needed: bool) -> None:
    pictures = [
        relation.target_part.blob
        for relation in document.part.rels.values()
        if not relation.is_external and posixpath.basename(relation.reltype) == "image"
    ]
    if not needed:
        if pictures:
            draft.note(f"It holds {len(pictures)} pictures, whose text was not read.")
        return
    for number, data in enumerate(pictures[:_MOST_PICTURES], 1):
        read_embedded_picture(draft, data, f"Picture {number}")


def read_embedded_picture(draft: Draft, data: bytes, what: str) -> bool:
    """OCR of a picture inside another document; one that cannot be decoded is noted."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            draft.unpack(image.width * image.height)
            return recognize_image(draft, image, what)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        draft.note(f"{what} could not be decoded: {error}")
        return False
