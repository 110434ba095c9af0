"""What a file is, judged by its content.

Responsible for the kind of a document; not for reading it.  Invariant: a name never decides against
the content; it only tells apart what looks the same, such as CSV and other plain text.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections import Counter
from enum import StrEnum

import olefile  # type: ignore[import-untyped]

from hivekeep.documents.readers.charset import declared_in, decode, is_binary
from hivekeep.documents.readers.draft import Source


class Kind(StrEnum):
    """Media types that can be read, and ``ENCRYPTED``, which only can be told."""

    PDF = "application/pdf"
    DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
    XLS = "application/vnd.ms-excel"
    MSG = "application/vnd.ms-outlook"
    EML = "message/rfc822"
    HTML = "text/html"
    XML = "application/xml"
    CSV = "text/csv"
    MARKDOWN = "text/markdown"
    TEXT = "text/plain"
    PNG = "image/png"
    JPEG = "image/jpeg"
    TIFF = "image/tiff"
    ENCRYPTED = "application/x-encrypted"


SUFFIXES: dict[str, Kind] = {
    ".pdf": Kind.PDF, ".docx": Kind.DOCX, ".docm": Kind.DOCX, ".xlsx": Kind.XLSX,
    ".xlsm": Kind.XLSX, ".pptx": Kind.PPTX, ".pptm": Kind.PPTX, ".xls": Kind.XLS,
    ".msg": Kind.MSG, ".eml": Kind.EML, ".html": Kind.HTML, ".htm": Kind.HTML, ".xml": Kind.XML,
    ".csv": Kind.CSV, ".tsv": Kind.CSV, ".tab": Kind.CSV, ".md": Kind.MARKDOWN,
    ".markdown": Kind.MARKDOWN, ".txt": Kind.TEXT, ".text": Kind.TEXT, ".log": Kind.TEXT,
    ".png": Kind.PNG, ".jpg": Kind.JPEG, ".jpeg": Kind.JPEG, ".tif": Kind.TIFF, ".tiff": Kind.TIFF,
}  # fmt: skip
_TEXTUAL = {Kind.TEXT, Kind.MARKDOWN, Kind.CSV, Kind.HTML, Kind.XML, Kind.EML}
_MAGIC: list[tuple[bytes, Kind]] = [
    (b"\x89PNG\r\n\x1a\n", Kind.PNG),
    (b"\xff\xd8\xff", Kind.JPEG),
    (b"II*\x00", Kind.TIFF),
    (b"MM\x00*", Kind.TIFF),
    (b"II+\x00", Kind.TIFF),
    (b"MM\x00+", Kind.TIFF),
]
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OTHERS: list[tuple[bytes, str]] = [
    (b"{\\rtf", "RTF"), (b"GIF8", "a GIF picture"), (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"), (b"\x1f\x8b", "a gzip archive"), (b"MZ", "a Windows program"),
    (b"\x7fELF", "a program"), (b"ID3", "sound"), (b"%!PS", "PostScript"),
    (b"SQLite format 3", "a database"), (b"RIFF", "sound or a WebP picture"),
]  # fmt: skip
_OPEN_DOCUMENT = {
    b"application/epub+zip": "an EPUB book",
    b"application/vnd.oasis.opendocument.text": "an OpenDocument text",
    b"application/vnd.oasis.opendocument.spreadsheet": "an OpenDocument spreadsheet",
    b"application/vnd.oasis.opendocument.presentation": "an OpenDocument presentation",
}
_HTML = re.compile(
    r"^\s*(?:<\?xml[^>]*>|<!--.*?-->|\s)*<(?:!doctype\s+html|html|head|body|title|meta|table|div|p|h[1-6])\b",
    re.I | re.S,
)
_XML = re.compile(r"^\s*<(?:\?\w|!DOCTYPE\b|!--|[A-Za-z_][\w.:-]*(?:\s+[\w:.-]+=|\s*/?>))")
_HEADER = re.compile(r"^(?:From |([A-Za-z][A-Za-z0-9-]{1,60}):)")
_MAIL_HEADERS = {
    "from", "to", "cc", "subject", "date", "received", "message-id", "mime-version", "return-path",
    "delivered-to", "reply-to", "content-type", "sender", "x-mailer", "x-original-to",
}  # fmt: skip
_SAMPLE = 64 * 1024


def sniff(source: Source) -> tuple[Kind | None, str]:
    """The kind, or ``None`` and in words what the file seems to be (may be empty)."""
    data = source.data
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return kind, ""
    if b"%PDF-" in data[:1024]:
        return Kind.PDF, ""
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_kind(data)
    if data.startswith(_OLE):
        return _ole_kind(data)
    for magic, words in _OTHERS:
        if data.startswith(magic):
            return None, words
    if is_binary(data):
        return None, ""
    return _text_kind(data, source.suffix), ""


def mislabelled(kind: Kind, suffix: str) -> bool:
    """Whether the name promises a kind that the content is not."""
    promised = SUFFIXES.get(suffix)
    if promised is None or promised is kind:
        return False
    return not (promised in (Kind.TEXT, Kind.MARKDOWN) and kind in _TEXTUAL)


def _zip_kind(data: bytes) -> tuple[Kind | None, str]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
            if "mimetype" in names and archive.getinfo("mimetype").file_size < 200:
                found = _OPEN_DOCUMENT.get(archive.read("mimetype").strip())
                if found:
                    return None, found
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError):
        return None, "a damaged archive"
    for folder, kind in (("word/", Kind.DOCX), ("xl/", Kind.XLSX), ("ppt/", Kind.PPTX)):
        if any(name.startswith(folder) for name in names):
            return kind, ""
    return None, "an archive"


def _ole_kind(data: bytes) -> tuple[Kind | None, str]:
    try:
        with olefile.OleFileIO(data) as ole:
            names = {"/".join(entry).lower() for entry in ole.listdir(streams=True, storages=True)}
    except (OSError, ValueError, IndexError, TypeError, RecursionError):
        return None, "a damaged Office file"
    if "encryptedpackage" in names:
        return Kind.ENCRYPTED, ""
    if names & {"workbook", "book"}:
        return Kind.XLS, ""
    if "worddocument" in names:
        return None, "an old Word document (.doc)"
    if "powerpoint document" in names:
        return None, "an old PowerPoint presentation (.ppt)"
    if "__properties_version1.0" in names:
        return Kind.MSG, ""
    return None, ""


def _text_kind(data: bytes, suffix: str) -> Kind:
    sample = decode(data[:_SAMPLE], declared_in(data)).text.lstrip("\ufeff")
    promised = SUFFIXES.get(suffix)
    if sample.lstrip().startswith("-----BEGIN PGP MESSAGE"):
        return Kind.ENCRYPTED
    if _is_mail(sample, trusted=promised is Kind.EML):
        return Kind.EML
    if promised is Kind.MARKDOWN:
        return Kind.MARKDOWN
    if _HTML.match(sample) or (promised is Kind.HTML and "<" in sample):
        return Kind.HTML
    if _XML.match(sample):
        return Kind.XML
    if promised is Kind.CSV or (promised is not Kind.TEXT and _is_table(sample)):
        return Kind.CSV
    return Kind.TEXT


def _is_mail(sample: str, *, trusted: bool) -> bool:
    found = set()
    for number, line in enumerate(sample.lstrip("\r\n").splitlines()[:60]):
        header = _HEADER.match(line)
        if header is None:
            # Continuation lines belong to a header; anything else ends the headers.
            if number == 0 or line[:1] not in (" ", "\t"):
                break
        elif header[1]:
            found.add(header[1].lower())
    known = found & _MAIL_HEADERS
    return bool(known) if trusted else len(known) >= 3 and bool(known & {"from", "received"})


def _is_table(sample: str) -> bool:
    lines = [line for line in sample.splitlines()[:20] if line.strip()]
    if len(lines) < 3:
        return False
    for delimiter in (";", "\t", ","):
        counts = Counter(line.count(delimiter) for line in lines)
        if len(counts) == 1 and next(iter(counts)) > 0:
            return True
    return False
