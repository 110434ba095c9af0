"""Draws one page of a document as pixels, for a person who checks a value against it.

Responsible for PDF pages and pictures; other kinds have no page to look at.  Invariant: what is
handed on are raw pixels of bounded size, never bytes in a format that the document composed.
"""

from __future__ import annotations

import io

import pypdfium2 as pdfium
from PIL import Image, ImageOps, ImageSequence

from hivekeep.documents.failures import Reason, failure
from hivekeep.documents.readers.draft import Source
from hivekeep.documents.readers.sniffing import Kind, sniff
from hivekeep.documents.wire import Pixels

LONGEST_SIDE = 1_800
_MOST_PIXELS = 150_000_000
_PICTURES = {Kind.PNG: "PNG", Kind.JPEG: "JPEG", Kind.TIFF: "TIFF"}


def draw_page(source: Source, page: int) -> Pixels:
    """Page ``page``, counted from 1.

    :raises DocumentError: if it has no such page, or is of a kind that has no pages to look at.
    """
    kind, _ = sniff(source)
    if kind is Kind.PDF:
        return _pixels(_pdf_page(source, page))
    if kind in _PICTURES:
        return _pixels(_frame(source, page, _PICTURES[kind]))
    raise failure(source.name, Reason.UNSUPPORTED, why="It has no pages that can be drawn.")


def _pdf_page(source: Source, page: int) -> Image.Image:
    with pdfium.PdfDocument(source.data) as document:
        if not 1 <= page <= len(document):
            raise _no_page(source.name, page)
        if document.get_formtype() != 0:
            document.init_forms()
        drawn = document[page - 1]
        try:
            width, height = drawn.get_size()
            scale = LONGEST_SIDE / max(width, height, 1.0)
            image: Image.Image = drawn.render(scale=scale).to_pil()
        finally:
            drawn.close()
    return image


def _frame(source: Source, page: int, form: str) -> Image.Image:
    with Image.open(io.BytesIO(source.data), formats=(form,)) as image:
        if image.width * image.height > _MOST_PIXELS:
            raise failure(source.name, Reason.UNPACKED_TOO_LARGE)
        for number, frame in enumerate(ImageSequence.Iterator(image), 1):
            if number == page:
                return ImageOps.exif_transpose(frame).convert("RGB")
    raise _no_page(source.name, page)


def _pixels(image: Image.Image) -> Pixels:
    plain = image if image.mode in ("L", "RGB") else image.convert("RGB")
    plain.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    return Pixels(plain.width, plain.height, len(plain.getbands()), plain.tobytes())


def _no_page(name: str, page: int) -> Exception:
    return failure(name, Reason.UNSUPPORTED, why=f"It has no page {page}.")
