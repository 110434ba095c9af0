"""Chooses the reader for a source, also for attachments inside other documents.

Responsible for which kind is read by which module, and for remarks on wrong names; not for any
format.  Invariant: attachments are read at most ``DEEPEST`` levels deep.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath

from hivekeep.documents.failures import Reason, display_name, failure
from hivekeep.documents.readers import (
    mail,
    outlook,
    pdf,
    pictures,
    plain,
    sheets,
    slides,
    web,
    word,
)
from hivekeep.documents.readers.draft import Draft, Source
from hivekeep.documents.readers.sniffing import SUFFIXES, Kind, mislabelled, sniff
from hivekeep.domain.errors import DocumentError

DEEPEST = 2
_READERS: dict[Kind, Callable[[Draft, Source], None]] = {
    Kind.PDF: pdf.read_pdf,
    Kind.DOCX: word.read_docx,
    Kind.XLSX: sheets.read_sheets,
    Kind.XLS: sheets.read_sheets,
    Kind.PPTX: slides.read_pptx,
    Kind.HTML: web.read_html,
    Kind.XML: plain.read_xml,
    Kind.CSV: plain.read_csv,
    Kind.MARKDOWN: plain.read_markdown,
    Kind.TEXT: plain.read_text,
    Kind.PNG: pictures.read_picture,
    Kind.JPEG: pictures.read_picture,
    Kind.TIFF: pictures.read_picture,
}
_DAMAGED_WORDS = ("a damaged",)


def read(draft: Draft, source: Source) -> None:
    """Add the text of ``source`` to ``draft``.

    :raises DocumentError: with the reason why it cannot be read.
    """
    kind, seems = sniff(source)
    if kind is None:
        raise _unsupported(draft, source, seems)
    draft.media_type = kind.value
    if kind is Kind.ENCRYPTED:
        raise failure(draft.name, Reason.ENCRYPTED)
    if mislabelled(kind, source.suffix):
        draft.note(f"It is named {source.suffix}, but its content is {kind.value}.")
    if kind is Kind.EML:
        mail.read_eml(draft, source, read_attachment)
    elif kind is Kind.MSG:
        outlook.read_msg(draft, source, read_attachment)
    else:
        _READERS[kind](draft, source)


def read_attachment(draft: Draft, parent: Source, name: str, data: bytes) -> None:
    """Add an attachment's text, or a note why it was not read."""
    shown = display_name(name)
    place = f"attachment {shown}"
    if parent.depth >= DEEPEST:
        draft.note(f"The {place} was not read: it is nested too deeply.")
        return
    suffix = PurePosixPath(shown).suffix.lower()
    before = draft.blocks
    draft.unpack(len(data))
    with draft.inside(place):
        try:
            if not data:
                raise failure(shown, Reason.EMPTY)
            read(draft, Source(shown, data, suffix, parent.depth + 1))
        except DocumentError as error:
            draft.note(f"It was not read ({error.reason}). {error.why}")
        else:
            if draft.blocks == before:
                draft.note("No text was found in it.")


def _unsupported(draft: Draft, source: Source, seems: str) -> DocumentError:
    if seems.startswith(_DAMAGED_WORDS) or (not seems and source.suffix in SUFFIXES):
        why = f"It seems to be {seems}." if seems else "Its content is not what its name says."
        return failure(draft.name, Reason.DAMAGED, why=why)
    why = f"It seems to be {seems}." if seems else "Its content is of no known kind."
    return failure(draft.name, Reason.UNSUPPORTED, why=why)
