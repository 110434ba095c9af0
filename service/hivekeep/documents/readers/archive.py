"""Opens archive-based documents (DOCX, XLSX, PPTX) only if unpacking them is harmless.

Responsible for size, ratio, encryption and document type definitions; not for what the parts mean.
Invariant: no part reaches an XML parser if any part could expand or load something else.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib

from hivekeep.documents.failures import Reason, failure
from hivekeep.documents.readers.draft import Draft

_MOST_ENTRIES = 20_000
_WORST_RATIO = 200
_SMALL = 20 * 1024**2
_PROLOG = 64 * 1024
_ENCRYPTED_FLAG = 0x1
_ROOT = re.compile(r"<[A-Za-z_]")
_ENCODING = re.compile(r"""encoding\s*=\s*["']([^"']*)["']""")
_SAFE_ENCODINGS = {"utf-8", "utf-16", "us-ascii", "ascii", "iso-8859-1", "windows-1252"}


def check_archive(draft: Draft, data: bytes) -> None:
    """Refuse what must not be unpacked.

    :raises DocumentError: ``damaged``, ``encrypted`` or ``unpacked_too_large``.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_sizes(draft, archive, len(data))
            for entry in archive.infolist():
                if entry.filename.endswith((".xml", ".rels", ".vml")):
                    with archive.open(entry) as part:
                        check_prolog(draft, part.read(_PROLOG))
    except (
        zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, NotImplementedError,
        RuntimeError,
    ) as error:  # fmt: skip
        raise failure(draft.name, Reason.DAMAGED, why=f"Its archive is broken: {error}") from error


def _check_sizes(draft: Draft, archive: zipfile.ZipFile, packed: int) -> None:
    entries = archive.infolist()
    if any(entry.flag_bits & _ENCRYPTED_FLAG for entry in entries):
        raise failure(draft.name, Reason.ENCRYPTED)
    total = sum(entry.file_size for entry in entries)
    if len(entries) > _MOST_ENTRIES or total > max(_SMALL, _WORST_RATIO * packed):
        raise failure(
            draft.name,
            Reason.UNPACKED_TOO_LARGE,
            why=f"{len(entries):,} parts with {total // 1024**2:,} MB in {packed / 1024**2:,.1f}"
            " MB: that is no ordinary document.",
        )
    draft.unpack(total)


def check_prolog(draft: Draft, start: bytes) -> None:
    """Refuse XML with a document type definition, by its first bytes.

    Neither Office nor invoice formats use one; entity bombs and external entities need one.

    :raises DocumentError: ``damaged``.
    """
    wide = start[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in start[:4]
    encoding = "utf-16" if wide else "latin-1"
    # An odd byte may have been cut off at the end of the sample.
    text = start[: len(start) & ~1 if wide else None].decode(encoding, "replace")
    root = _ROOT.search(text)
    prolog = text[: root.start()] if root else text
    declared = _ENCODING.search(prolog)
    odd = declared is not None and declared[1].lower() not in _SAFE_ENCODINGS
    if "<!DOCTYPE" in prolog.upper() or "<!ENTITY" in prolog.upper():
        why = "It has a document type definition, which can hide bombs or load other files."
    elif odd or (root is None and len(start) >= _PROLOG):
        why = "Its XML begins in an unusual way that could hide an attack."
    else:
        return
    raise failure(draft.name, Reason.DAMAGED, why=why)
