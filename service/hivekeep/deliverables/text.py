"""Document text made safe to show in a workbook, a Markdown file or a file name.

Responsible for what may stand in a cell, a sheet's name, a link or a file's name; not for where it
stands.  Invariant: every function here is total, so that no text, however hostile, stops a run
from being delivered, and everything that is left out is said in the result.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path, PurePath

MAX_CELL = 32_767
"""Characters a cell may hold; Excel counts UTF-16 code units."""
MAX_LINK = 2_079
"""Characters of a link that Excel accepts before it offers to repair the file."""
MAX_SHEET_NAME = 31
MAX_FILE_NAME = 200
"""Bytes of a file name that we choose; leaves room for a number and for a temporary suffix."""

# Everything XML 1.0 has no place for, except lone surrogates, which become a visible mark.
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE_END = re.compile("\r\n?")
# ECMA-376 part 1, 22.9.2.19 (ST_Xstring): _xHHHH_ in a string stands for a character.
_ESCAPE = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_FORMULA_START = frozenset("=+-@＝＋－＠﹦﹢﹣﹫\t\r\n")
_SHEET_NAME_ILLEGAL = re.compile(r"[\[\]:*?/\\\x00-\x1f\x7f]")
_FILE_NAME_ILLEGAL = re.compile(r'[<>:"/\\|?*]')
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?$")


def plain(text: str) -> str:
    """``text`` as XML can carry it: no control characters, lone surrogates as U+FFFD, ``\\n`` ends.

    Tabs and line feeds stay.
    """
    return _SURROGATE.sub("\ufffd", _ILLEGAL.sub("", _LINE_END.sub("\n", text)))


def cell_text(text: str, limit: int = MAX_CELL) -> str:
    """``text`` as the string of a cell: ``plain``, shortened visibly to ``limit`` characters, and
    with ``_xHHHH_`` escaped so that a spreadsheet shows it as it stands.
    """
    return shorten(_ESCAPE.sub("_x005F_", plain(text)), limit)


def shorten(text: str, limit: int) -> str:
    """``text`` cut to ``limit`` UTF-16 code units, ending in a mark that says how long it was."""
    if len(text) <= limit // 2 or utf16_length(text) <= limit:
        return text
    mark = f" […shortened, {len(text):,} characters in all]"
    room = max(limit - len(mark), 0)
    cut = text.encode("utf-16-le")[: room * 2].decode("utf-16-le", "ignore")
    return (cut + mark)[:limit]


def utf16_length(text: str) -> int:
    """The length of ``text`` as spreadsheets count it."""
    return len(text) + sum(character > "\uffff" for character in text)


def looks_like_formula(text: str) -> bool:
    """Whether a spreadsheet could take ``text``, typed or imported, for a formula or a command."""
    return bool(text) and (text[0] in _FORMULA_START or text.lstrip()[:1] in _FORMULA_START)


def one_line(text: str, limit: int = MAX_CELL) -> str:
    """``text`` on one line, with invisible and direction-changing characters spelled out.

    Meant for names: ``invoice\\u202efdp.exe`` must not look like ``invoiceexe.pdf``.
    """
    shown = "".join(
        f"<U+{ord(character):04X}>"
        if unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp", "Cs", "Cn")
        else character
        for character in text
    )
    return cell_text(shown, limit)


def shown_name(path: str) -> str:
    """The file name of ``path`` for a person, on one line."""
    return one_line(PurePath(path).name or path, 300)


def file_link(path: str) -> str:
    """A ``file:`` URI for an absolute ``path``, or nothing where no link can be made."""
    try:
        link = Path(path).as_uri()
    except ValueError:  # a relative path, or a zero byte in it
        return ""
    return link if len(link) <= MAX_LINK else ""


def sheet_name(wanted: str, taken: set[str]) -> str:
    """A valid sheet name like ``wanted`` that is not among ``taken`` (lower case), and take it."""
    base = _SHEET_NAME_ILLEGAL.sub(" ", plain(wanted))
    base = _fitted(" ".join(base.split()).strip("'"), MAX_SHEET_NAME).strip("' ") or "Sheet"
    name, number = base, 1
    # Excel keeps "History" for itself.
    while name.casefold() in taken or name.casefold() == "history":
        number += 1
        ending = f" {number}"
        name = _fitted(base, MAX_SHEET_NAME - len(ending)) + ending
    taken.add(name.casefold())
    return name


def _fitted(text: str, length: int) -> str:
    """The beginning of ``text`` that has at most ``length`` UTF-16 units, which Excel counts."""
    text = text[:length]
    while utf16_length(text) > length:
        text = text[:-1]
    return text


def file_name(wanted: str) -> str:
    """``wanted`` as a file name that is valid everywhere, keeping its suffix."""
    visible = "".join(c for c in plain(wanted) if unicodedata.category(c)[0] != "C")
    name = " ".join(_FILE_NAME_ILLEGAL.sub("-", visible).split()).strip(". ")
    if not name or _RESERVED.match(name):
        name = f"result {name}".strip()
    stem, suffix = PurePath(name).stem, PurePath(name).suffix
    if len(suffix.encode()) > 20:
        stem, suffix = name, ""
    kept = stem.encode()[: MAX_FILE_NAME - len(suffix.encode())].decode("utf-8", "ignore")
    return kept.rstrip(". ") + suffix
