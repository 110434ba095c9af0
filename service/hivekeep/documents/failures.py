"""Why a document could not be read, as stable reasons with one clear line each.

Responsible for the wording that users meet in the failure sheet, not for deciding that something
failed.  Invariant: every reason has a sentence and a next step, and no name of a hostile file can
break the line or turn its direction.
"""

from __future__ import annotations

import errno
import os
from enum import StrEnum

from hivekeep.documents.cleaning import clean
from hivekeep.domain.errors import DocumentError
from hivekeep.files import MovedError

_LONGEST_NAME = 120


class Reason(StrEnum):
    """The stable names of ``DocumentError.reason``."""

    ENCRYPTED = "encrypted"
    EMPTY = "empty"
    DAMAGED = "damaged"
    UNSUPPORTED = "unsupported"
    TOO_LARGE = "too_large"
    TOO_MANY_PAGES = "too_many_pages"
    TOO_SLOW = "too_slow"
    UNPACKED_TOO_LARGE = "unpacked_too_large"
    PERMISSION = "permission"
    VANISHED = "vanished"
    CHANGED = "changed"
    NO_TEXT = "no_text"
    CRASHED = "crashed"
    MEMORY = "memory"
    NOT_A_FILE = "not_a_file"
    UNCONFINED = "unconfined"


_WORDS: dict[Reason, tuple[str, str]] = {
    Reason.ENCRYPTED: ("is encrypted.", "Save a copy without a password and drop that."),
    Reason.EMPTY: ("is empty.", "Ask for the file again; it holds nothing."),
    Reason.DAMAGED: ("is damaged.", "Open it in its own program, or ask for it again."),
    Reason.UNSUPPORTED: (
        "is of a kind that cannot be read.",
        "Save it as PDF, DOCX, XLSX or plain text and drop that.",
    ),
    Reason.TOO_LARGE: ("is too large.", "Split it, or raise the limit in the settings."),
    Reason.TOO_MANY_PAGES: ("has too many pages.", "Split it, or raise the page limit."),
    Reason.TOO_SLOW: ("took too long to read.", "Split it, or raise the time limit."),
    Reason.UNPACKED_TOO_LARGE: (
        "would unpack to far more than is allowed.",
        "Do not open it unless you trust its sender; it may be a decompression bomb.",
    ),
    Reason.PERMISSION: (
        "may not be read.",
        "Give this user read permission on the file and its folder.",
    ),
    Reason.VANISHED: ("is gone.", "It was moved or deleted meanwhile; drop it again."),
    Reason.CHANGED: ("changed meanwhile.", "Wait until it is complete and drop it again."),
    Reason.NO_TEXT: ("has no readable text.", "Check that its pages are not blank or unsharp."),
    Reason.CRASHED: (
        "made its reader process crash.",
        "Other files are not affected. Save it in another format and try again.",
    ),
    Reason.MEMORY: ("needs more memory than is allowed.", "Split it, or raise the memory limit."),
    Reason.NOT_A_FILE: ("is not a regular file.", "Name a file, not a folder or a device."),
    Reason.UNCONFINED: (
        "was not opened, because its reader could not be confined.",
        "'hivekeep doctor' says which protections are active on this machine.",
    ),
}


def failure(name: str, reason: Reason, *, why: str = "", next_step: str = "") -> DocumentError:
    """The error for ``reason``; ``name`` must already be safe to show."""
    what, standard_step = _WORDS[reason]
    shown = name if len(name) <= _LONGEST_NAME else f"{name[:80]}…{name[-39:]}"
    return DocumentError(
        f"'{shown}' {what}", reason=reason.value, why=why, next_step=next_step or standard_step
    )


def open_failure(name: str, error: OSError) -> DocumentError:
    """The error for a file that the system would not open or read."""
    if isinstance(error, MovedError):
        return failure(name, Reason.CHANGED, why="Its path now leads to another place.")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return failure(name, Reason.VANISHED)
    if error.errno == errno.EINVAL:
        return failure(name, Reason.NOT_A_FILE)
    if isinstance(error, IsADirectoryError):
        return failure(name, Reason.NOT_A_FILE, why="It is a folder.")
    cause = os.strerror(error.errno) if error.errno else "The system refused"
    if isinstance(error, PermissionError):
        return failure(name, Reason.PERMISSION, why=f"{cause}.")
    return failure(name, Reason.VANISHED, why=f"The system says: {cause}.")


def display_name(name: str) -> str:
    """A file name that is safe in a line of text: no line breaks, no direction marks.

    >>> display_name("a\\nb\\u202efdp.exe")
    'a bfdp.exe'
    """
    shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return " ".join(clean(shown).text.split()) or "unnamed"
