"""PDF: text with positions, form fields, and OCR for pages without text.

Responsible for choosing, page by page, between PDFium's text, pypdf's text and OCR; ``pdf_text``
knows how PDFium stores text.  Invariant: a page that shows something but gives no text is never
passed over in silence.
"""

from __future__ import annotations

import ctypes
import io
import unicodedata
from collections.abc import Callable

import pypdf
import pypdf.errors
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from hivekeep.documents.failures import Reason, failure
from hivekeep.documents.readers.draft import Draft, Source
from hivekeep.documents.readers.pdf_text import Run, page_runs
from hivekeep.documents.readers.pictures import LONGEST_SIDE, fraction_box, recognize_image
from hivekeep.documents.readers.plain import read_lines
from hivekeep.domain.documents import BlockKind

_FEW_CHARACTERS = 12
_FEW_OBJECTS = 20
_STAMP_CHARACTERS = 80
_SCAN_SHARE = 0.5
_MOST_UNREADABLE = 0.3
_MOST_OBJECTS = 2_000
_MOST_ANNOTATIONS = 2_000
_BROKEN = (
    pypdf.errors.PyPdfError, OSError, ValueError, KeyError, IndexError, TypeError, AttributeError,
    AssertionError, NotImplementedError,
)  # fmt: skip
_UNREADABLE = {"Co", "Cn", "Cc"}


def read_pdf(draft: Draft, source: Source) -> None:
    """All pages, or a reason."""
    try:
        document = pdfium.PdfDocument(source.data)
    except pdfium.PdfiumError as error:
        if error.err_code in (pdfium_c.FPDF_ERR_PASSWORD, pdfium_c.FPDF_ERR_SECURITY):
            raise failure(draft.name, Reason.ENCRYPTED) from error
        _read_with_second(draft, source)
        return
    with document:
        if document.get_formtype() != pdfium_c.FORMTYPE_NONE:
            document.init_forms()
        if not len(document):
            _read_with_second(draft, source)
            return
        draft.expect_pages(len(document))
        _describe(draft, document)
        reader = _Pages(draft, document, _Second(source.data))
        for index in range(len(document)):
            draft.next_page()
            reader.read(index)


def _describe(draft: Draft, document: pdfium.PdfDocument) -> None:
    for key, value in document.get_metadata_dict(skip_empty=True).items():
        if key in ("Title", "Author", "CreationDate"):
            draft.describe(key.lower(), value)
    attached = document.count_attachments()
    if attached:
        draft.note(f"It carries {attached} attached files, which were not read.")


class _Second:
    """pypdf, opened only if it is needed."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._reader: pypdf.PdfReader | None = None

    @property
    def reader(self) -> pypdf.PdfReader:
        if self._reader is None:
            self._reader = pypdf.PdfReader(io.BytesIO(self._data), strict=False)
        return self._reader

    def text(self, index: int) -> str:
        """The text of a page, or nothing if it cannot read it either."""
        try:
            return self.reader.pages[index].extract_text()
        except Exception:  # noqa: BLE001 - a last resort that fails in every way there is
            return ""


class _Pages:
    def __init__(self, draft: Draft, document: pdfium.PdfDocument, second: _Second) -> None:
        self._draft = draft
        self._document = document
        self._second = second

    def read(self, index: int) -> None:
        """Add the text of one page."""
        try:
            page = self._document[index]
        except pdfium.PdfiumError:
            if not self._fall_back(index):
                self._draft.note(f"Page {index + 1} is damaged and could not be read.")
            return
        try:
            runs, outside = page_runs(page)
            text = "".join(run.text for run in runs)
            if outside:
                self._draft.note("Text outside the visible page was left out.")
            if not self._is_enough(page, text):
                self._read_sparse(page, index, runs)
            else:
                self._add(runs)
            self._read_annotations(page)
        finally:
            page.close()

    def _is_enough(self, page: pdfium.PdfPage, text: str) -> bool:
        if not text or _unreadable(text):
            return False
        if len(text) >= _STAMP_CHARACTERS:
            return True
        # A few words may be a stamp on a scan, or a number on a page whose letters are drawn.
        drawn = pdfium_c.FPDFPage_CountObjects(page) > _FEW_OBJECTS
        return not _is_scan(page) and (len(text) >= _FEW_CHARACTERS or not drawn)

    def _add(self, runs: list[Run]) -> None:
        for run in runs:
            self._draft.add(run.text, run.kind, box=run.box)

    def _read_sparse(self, page: pdfium.PdfPage, index: int, runs: list[Run]) -> None:
        """A page with hardly any text of its own: a scan, unmapped fonts, or truly blank."""
        before = self._draft.blocks
        text = "".join(run.text for run in runs)
        usable = [] if _unreadable(text) else runs
        if not pdfium_c.FPDFPage_CountObjects(page):
            self._add(usable)
            return
        if not (usable and _is_scan(page)) and self._fall_back(index, more_than=len(text)):
            return
        image = page.render(scale=_scale(page), rev_byteorder=True).to_pil()
        what = f"Page {index + 1}"
        if self._draft.limits.ocr and recognize_image(self._draft, image, what):
            return
        self._add(usable)
        if self._draft.blocks == before and not self._draft.limits.ocr:
            self._draft.note(f"{what} has no text and was not read: OCR is switched off.")

    def _fall_back(self, index: int, more_than: int = 0) -> bool:
        text = self._second.text(index)
        if len(text.split()) < 2 or _unreadable(text) or len(text) <= max(more_than, 20):
            return False
        read_lines(self._draft, text.replace("\f", "\n"), new_page=False)
        self._draft.note(f"Page {index + 1} was read by the second PDF reader, without positions.")
        return True

    def _read_annotations(self, page: pdfium.PdfPage) -> None:
        """Filled form fields and free text, which are no part of the page's own text."""
        size = page.get_size()
        count = pdfium_c.FPDFPage_GetAnnotCount(page)
        for number in range(min(count, _MOST_ANNOTATIONS)):
            annotation = pdfium_c.FPDFPage_GetAnnot(page, number)
            if not annotation:
                continue
            kind = pdfium_c.FPDFAnnot_GetSubtype(annotation)
            rectangle = pdfium_c.FS_RECTF()
            box = None
            if pdfium_c.FPDFAnnot_GetRect(annotation, rectangle) and not page.get_rotation():
                top, bottom = size[1] - rectangle.top, size[1] - rectangle.bottom
                box = fraction_box((rectangle.left, top, rectangle.right, bottom), size)
            if kind == pdfium_c.FPDF_ANNOT_WIDGET and self._document.formenv is not None:
                form = self._document.formenv
                name = _wide(pdfium_c.FPDFAnnot_GetFormFieldName, form, annotation)
                value = _wide(pdfium_c.FPDFAnnot_GetFormFieldValue, form, annotation)
                if value.strip() and value not in ("Off", "Yes"):
                    self._draft.add(f"{name}: {value}", BlockKind.FORM_FIELD, box=box)
            elif kind == pdfium_c.FPDF_ANNOT_FREETEXT:
                self._draft.add(_contents(annotation), BlockKind.NOTE, box=box)
            pdfium_c.FPDFPage_CloseAnnot(annotation)


def _wide(call: Callable[..., int], *arguments: object) -> str:
    """Call a PDFium function that fills a UTF-16 buffer of a length it tells first."""
    length = call(*arguments, None, 0)
    if length < 4 or length > 1 << 20:
        return ""
    buffer = ctypes.create_string_buffer(length)
    call(*arguments, ctypes.cast(buffer, ctypes.POINTER(pdfium_c.FPDF_WCHAR)), length)
    return buffer.raw[: length - 2].decode("utf-16-le", "replace")


def _contents(annotation: object) -> str:
    return _wide(pdfium_c.FPDFAnnot_GetStringValue, annotation, b"Contents")


def _unreadable(text: str) -> bool:
    """Whether the text layer is made of characters that mean nothing (fonts without a mapping)."""
    if not text:
        return False
    odd = sum(
        character == "\ufffd" or unicodedata.category(character) in _UNREADABLE
        for character in text
    )
    return odd > _MOST_UNREADABLE * len(text)


def _is_scan(page: pdfium.PdfPage) -> bool:
    """Whether pictures cover most of the page."""
    if pdfium_c.FPDFPage_CountObjects(page) > _MOST_OBJECTS:
        return False
    width, height = page.get_size()
    covered = 0.0
    for image in page.get_objects(filter=[pdfium_c.FPDF_PAGEOBJ_IMAGE], max_depth=3):
        left, bottom, right, top = image.get_bounds()
        covered += max(right - left, 0.0) * max(top - bottom, 0.0)
    return bool(covered > _SCAN_SHARE * width * height)


def _scale(page: pdfium.PdfPage) -> float:
    longest = max(*page.get_size(), 1.0)
    return float(min(LONGEST_SIDE / longest, 300 / 72))


def _read_with_second(draft: Draft, source: Source) -> None:
    """A file that PDFium does not open at all."""
    second = _Second(source.data)
    try:
        if second.reader.is_encrypted and not second.reader.decrypt(""):
            raise failure(draft.name, Reason.ENCRYPTED)
        count = len(second.reader.pages)
    except _BROKEN as error:
        raise failure(draft.name, Reason.DAMAGED, why=f"Two readers failed: {error}") from error
    draft.expect_pages(count)
    for index in range(count):
        draft.next_page()
        read_lines(draft, second.text(index).replace("\f", "\n"), new_page=False)
    if not draft.blocks:
        raise failure(draft.name, Reason.DAMAGED, why="Two readers found no text in it.")
    draft.note("It is damaged; it was read by the second PDF reader, without positions.")
