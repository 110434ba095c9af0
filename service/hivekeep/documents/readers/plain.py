"""Plain text, Markdown, CSV and XML.

Responsible for lines, rows and elements of text formats; not for HTML or mail.  Invariant: nothing
is left out except white space and markup.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from hivekeep.documents.failures import Reason, failure
from hivekeep.documents.readers.archive import check_prolog
from hivekeep.documents.readers.charset import declared_in, decode
from hivekeep.documents.readers.draft import CELL, Draft, Source
from hivekeep.domain.documents import BlockKind

_WRAPPED = 60
_LONGEST_PARAGRAPH = 1_200
_COLUMNS = re.compile(r"\t+|\s{3,}")
_ITEM = re.compile(r"^\s*(?:[-*+•–]|\d{1,3}[.)])\s")
_HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.*?)\s*#*$")
_RULE = re.compile(r"^\s*\|?[\s:|-]+\|?\s*$")
_MOST_LEVELS = 200


def _text(draft: Draft, source: Source) -> str:
    decoded = decode(source.data)
    if decoded.lossy:
        draft.note(f"Some characters made no sense in its encoding ({decoded.encoding}).")
    return decoded.text


def read_text(draft: Draft, source: Source) -> None:
    """Lines, where wrapped prose is joined; a form feed begins a page."""
    read_lines(draft, _text(draft, source))


def read_lines(draft: Draft, text: str, *, new_page: bool = True) -> None:
    """Text that is already decoded, as lines and paragraphs."""
    number = 0
    for part in text.split("\f"):
        if new_page:
            draft.next_page()
        paragraph, began = "", 0
        previous = ""
        for line in part.splitlines():
            number += 1
            columns = CELL.join(_COLUMNS.split(line.strip()))
            wrapped = len(previous) >= _WRAPPED and bool(columns) and not _ITEM.match(line)
            if wrapped and CELL not in columns and len(paragraph) < _LONGEST_PARAGRAPH:
                paragraph += f" {columns}"
            else:
                _add_line(draft, paragraph, began)
                paragraph, began = columns, number
            previous = "" if CELL in columns else columns
        _add_line(draft, paragraph, began)


def _add_line(draft: Draft, line: str, number: int) -> None:
    kind = BlockKind.LIST_ITEM if _ITEM.match(line) else BlockKind.PARAGRAPH
    kind = BlockKind.TABLE_ROW if CELL in line else kind
    draft.add(line, kind, locator=f"line {number}")


def read_markdown(draft: Draft, source: Source) -> None:
    """Markdown with its headings, items and tables; inline marks stay as they are."""
    for number, line in enumerate(_text(draft, source).splitlines(), 1):
        locator = f"line {number}"
        heading = _HEADING.match(line)
        if heading:
            draft.add(heading[1], BlockKind.HEADING, locator=locator)
        elif line.strip().startswith("|") and not _RULE.match(line):
            cells = line.strip().strip("|").split("|")
            draft.row(cells, locator=locator, kind=BlockKind.TABLE_ROW)
        elif not _RULE.match(line):
            _add_line(draft, line, number)


def read_csv(draft: Draft, source: Source) -> None:
    """One block for each row."""
    text = _text(draft, source)
    csv.field_size_limit(draft.limits.max_text)
    draft.next_page()
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text, source.suffix))
    try:
        for row in rows:
            draft.row(row, locator=f"line {rows.line_num}")
    except csv.Error as error:
        raise failure(
            draft.name, Reason.DAMAGED, why=f"Line {rows.line_num} is no CSV: {error}"
        ) from error


def _delimiter(text: str, suffix: str) -> str:
    if suffix in (".tsv", ".tab"):
        return "\t"
    lines = text.splitlines()[:50]
    best, most = ",", 0.0
    for candidate in (",", ";", "\t", "|"):
        counts = [
            len(row)
            for row in csv.reader(lines, delimiter=candidate)
            if any(cell.strip() for cell in row)
        ]
        if counts:
            width, often = Counter(counts).most_common(1)[0]
            score = (width - 1) * often / len(counts)
            if score > most:
                best, most = candidate, score
    return best


def read_xml(draft: Draft, source: Source) -> None:
    """Each element's own text with the element's name, in document order."""
    declared = declared_in(source.data)
    check_prolog(draft, source.data[: 64 * 1024])
    draft.unpack(len(source.data))
    draft.next_page()
    text = decode(source.data, declared).text
    without_declaration = re.sub(r"^\s*\ufeff?<\?xml[^>]*\?>", "", text)
    path: list[str] = []
    events = iterparse(
        io.BytesIO(without_declaration.encode("utf-8", "replace")),
        events=("start", "end"),
        forbid_dtd=True,
    )
    try:
        for event, element in events:
            if event == "start":
                path.append(_name(element))
                if len(path) > _MOST_LEVELS:
                    raise failure(draft.name, Reason.DAMAGED, why="It is nested far too deeply.")
                continue
            _add_element(draft, element, path)
            path.pop()
            element.clear()
    except (ParseError, DefusedXmlException, ValueError) as error:
        if not draft.blocks:
            raise failure(
                draft.name, Reason.DAMAGED, why=f"It is no well-formed XML: {error}"
            ) from error
        draft.note(f"It is not well-formed; what stands behind the fault is missing: {error}")


def _add_element(draft: Draft, element: Element, path: list[str]) -> None:
    texts = [element.text or "", *(child.tail or "" for child in element)]
    text = " ".join(" ".join(texts).split())
    if text:
        draft.add(f"{path[-1]}: {text}", BlockKind.FORM_FIELD, locator="/".join(path[-4:]))
    for name, value in element.items():
        if value.strip():
            place = "/".join([*path[-4:], f"@{name.rpartition('}')[2]}"])
            draft.add(f"{path[-1]} {name.rpartition('}')[2]}: {value}", locator=place)


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]
