"""Which names can stand for something else than they seem to, on any system.

Responsible for one component of a path; pure.  Invariant: a name without a problem means the same
file on Linux, macOS and Windows, or no file at all.

Windows' rules: "Naming Files, Paths, and Namespaces", learn.microsoft.com/windows/win32/fileio.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum

_MOST_BYTES = 255
_DEVICE = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|clock\$|com[0-9¹²³]|lpt[0-9¹²³])\s*([.:].*)?", re.IGNORECASE
)
_SHORT = re.compile(r"[^.]{1,6}~[0-9]{1,6}(\.[^.]{0,3})?", re.IGNORECASE)


class NameProblem(StrEnum):
    """Why a name is not taken."""

    EMPTY = "is empty"
    PARENT = "means another folder"
    SEPARATOR = "holds a separator"
    CONTROL = "holds a control or invisible character"
    STREAM = "names a stream of another file"
    DEVICE = "names a device on Windows"
    TRAILING = "ends in a dot or a space, which Windows drops"
    SHORT = "can be the short name of another file"
    LONG = "is too long"


def name_problem(name: str) -> NameProblem | None:
    """What is wrong with ``name`` as one component of a path that we make."""
    if not name:
        return NameProblem.EMPTY
    if name in (".", ".."):
        return NameProblem.PARENT
    if "/" in name or "\\" in name:
        return NameProblem.SEPARATOR
    # Format characters (Cf) turn directions and join letters; surrogates are not text.
    if any(unicodedata.category(character) in ("Cc", "Cf", "Cs") for character in name):
        return NameProblem.CONTROL
    if _DEVICE.fullmatch(name):
        return NameProblem.DEVICE
    if ":" in name:
        return NameProblem.STREAM
    if name[-1] in ". ":
        return NameProblem.TRAILING
    if _SHORT.fullmatch(name):
        return NameProblem.SHORT
    if len(name.encode()) > _MOST_BYTES:
        return NameProblem.LONG
    return None


def check_name(name: str) -> str:
    """``name``, if it is harmless.

    :raises ValueError: with the problem, if not.
    """
    problem = name_problem(name)
    if problem is not None:
        raise ValueError(f"{name[:80]!r} {problem}")
    return name


def fold(name: str) -> str:
    """The same for names that some file system takes for one: case and composition ignored."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())
