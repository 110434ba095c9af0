"""Makes text from documents harmless to show, to search and to put into a prompt.

Responsible for removing what a person cannot see; not for normalising numbers, dates or scripts.
Invariant: cleaned text has no control, bidirectional override or tag characters, no line breaks
and no lone surrogates, so a block is always one line and reads as it looks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_BIDI = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_INVISIBLE = [0x00AD, 0x180E, 0x200B, *range(0x2060, 0x2065), *range(0x206A, 0x2070), 0xFEFF]
_CONTROL = [*range(0x20), *range(0x7F, 0xA0), *range(0xFFF9, 0xFFFC)]
_TAGS = range(0xE0000, 0xE0080)
_SPACES = [9, 10, 11, 12, 13, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B)]
_MORE_SPACES = [0x2028, 0x2029, 0x202F, 0x205F, 0x3000]
_LIGATURES = {
    0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "st",
    0xFB06: "st",
}  # fmt: skip

_TABLE: dict[int, str | None] = {
    **dict.fromkeys([*_BIDI, *_INVISIBLE, *_CONTROL, *_TAGS]),
    **dict.fromkeys([*_SPACES, *_MORE_SPACES], " "),
    **_LIGATURES,
    **dict.fromkeys(range(0xD800, 0xE000), "�"),
}
# Worth telling a person: text that hides or turns itself round does so on purpose.
_SUSPICIOUS = re.compile("[\x00-\x08\x0e-\x1f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Text on one line, and whether something suspicious was taken out of it."""

    text: str
    suspicious: bool


def clean(text: str) -> Cleaned:
    """Remove what cannot be seen and turn every kind of space or line break into a space.

    >>> clean("Total:\\u00a01\\u202f234,56\\u202e").text
    'Total: 1 234,56'
    """
    if text.isascii() and text.isprintable():
        return Cleaned(text, suspicious=False)
    return Cleaned(text.translate(_TABLE), suspicious=_SUSPICIOUS.search(text) is not None)


def squeeze(text: str) -> str:
    """``text`` with runs of white space as one space and none at the ends."""
    return " ".join(text.split())
