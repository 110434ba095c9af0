"""File types in policies: suffixes, and media types as the sets of suffixes they stand for.

Responsible for turning either into suffixes when a policy is loaded, so that deciding needs no
table.  Invariant: a type that stands for no known suffix is an error, because a denial that matches
nothing would be no denial.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

from hivekeep.policy.windows_paths import is_windows

_OFFICE = "application/vnd.openxmlformats-officedocument"
_MEDIA_TYPES = {
    ".pdf": "application/pdf",
    ".docx": f"{_OFFICE}.wordprocessingml.document",
    ".docm": "application/vnd.ms-word.document.macroenabled.12",
    ".doc": "application/msword",
    ".xlsx": f"{_OFFICE}.spreadsheetml.sheet",
    ".xlsm": "application/vnd.ms-excel.sheet.macroenabled.12",
    ".xls": "application/vnd.ms-excel",
    ".pptx": f"{_OFFICE}.presentationml.presentation",
    ".pptm": "application/vnd.ms-powerpoint.presentation.macroenabled.12",
    ".ppt": "application/vnd.ms-powerpoint",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".odp": "application/vnd.oasis.opendocument.presentation",
    ".rtf": "application/rtf",
    ".html": "text/html",
    ".htm": "text/html",
    ".xhtml": "application/xhtml+xml",
    ".xml": "application/xml",
    ".json": "application/json",
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".txt": "text/plain",
    ".log": "text/plain",
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".eml": "message/rfc822",
    ".msg": "application/vnd.ms-outlook",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".bmp": "image/bmp",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".zip": "application/zip",
}
_SUFFIX = re.compile(r"\.[^./\\\s]{1,30}$")


def suffixes_of(file_type: str) -> frozenset[str]:
    """The suffixes that ``file_type`` stands for, in lower case.

    :raises ValueError: if it is neither a suffix nor a media type of a known suffix.
    """
    wanted = file_type.lower()
    if _SUFFIX.match(wanted):
        return frozenset({wanted})
    found = frozenset(
        suffix for suffix, media_type in _MEDIA_TYPES.items() if fnmatchcase(media_type, wanted)
    )
    if "/" not in wanted or not found:
        raise ValueError("a file type is a suffix such as '.pdf' or a media type such as 'image/*'")
    return found


def suffix_of(path: str) -> str:
    """The suffix that a path's type is judged by, in lower case; empty if it has none."""
    last = path.rfind("/")
    if is_windows(path):
        last = max(last, path.rfind("\\"))
    name = path[last + 1 :]
    dot = name.rfind(".")
    return name[dot:].lower() if dot >= 0 else ""
