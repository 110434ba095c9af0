"""HTML: what a browser would show, as blocks.

Responsible for block elements, lists and tables; not for scripts, styles or anything that is loaded
from elsewhere.  Invariant: text that is hidden from people does not reach a block; a note says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from selectolax.lexbor import LexborHTMLParser, LexborNode

from hivekeep.documents.failures import Reason, failure
from hivekeep.documents.readers.charset import declared_in, decode
from hivekeep.documents.readers.draft import Draft, Source
from hivekeep.domain.documents import BlockKind

_DROPPED = {
    "script", "style", "template", "noscript", "svg", "math", "iframe", "object", "head", "canvas",
    "audio", "video", "select", "datalist",
}  # fmt: skip
_BLOCKS = {
    "p", "div", "section", "article", "header", "footer", "main", "nav", "aside", "ul", "ol", "dl",
    "dt", "dd", "figure", "figcaption", "blockquote", "pre", "form", "fieldset", "legend", "body",
    "hr", "address", "caption", "center", "details", "summary", "html",
}  # fmt: skip
_HEADINGS = {f"h{level}" for level in range(1, 7)}
_HIDDEN_STYLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d]*[1-9])|opacity\s*:\s*0(?:\.0*)?\s*(?:;|$)"
    r"|(?:left|top|text-indent)\s*:\s*-\d{3,}",
    re.I,
)
_MOST_LEVELS = 2_000
# The parser's time grows with the square of the depth: 50,000 levels take half a minute.
_DEEPEST_MARKUP = 5_000
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
# Elements that have no end, or whose end authors may leave out.
_OPEN_ENDED = {
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track",
    "wbr", "p", "li", "dt", "dd", "tr", "td", "th", "tbody", "thead", "tfoot", "option", "colgroup",
    "html", "head", "body", "path", "param",
}  # fmt: skip


@dataclass
class _Row:
    """A table row being read; a row that holds another table is layout, not data."""

    cells: list[list[str]] = field(default_factory=list)
    layout: bool = False


def read_html(draft: Draft, source: Source) -> None:
    """One page with all visible text."""
    decoded = decode(source.data, declared_in(source.data))
    if decoded.lossy:
        draft.note(f"Some characters made no sense in its encoding ({decoded.encoding}).")
    draft.next_page()
    read_markup(draft, decoded.text)


def read_markup(draft: Draft, markup: str) -> None:
    """Add the visible text of ``markup`` to the current page.

    :raises DocumentError: ``damaged`` if it is nested beyond all reason.
    """
    if is_too_deep(markup):
        raise failure(draft.name, Reason.DAMAGED, why="It is nested far too deeply.")
    tree = LexborHTMLParser(markup)
    title = tree.css_first("title")
    if title is not None:
        draft.describe("title", title.text())
    if tree.body is not None:
        _Walk(draft).run(tree.body)


def is_too_deep(markup: str) -> bool:
    """Whether elements are nested so deeply, by a look without parsing, that parsing would hang."""
    deepest = depth = 0
    for closing, tag in _TAG.findall(markup):
        if tag.lower() not in _OPEN_ENDED:
            depth = max(depth - 1, 0) if closing else depth + 1
            deepest = max(deepest, depth)
    return deepest > _DEEPEST_MARKUP


class _Walk:
    """One pass over the tree without recursion, so that no nesting can exhaust the stack."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._text: list[str] = []
        self._kind = BlockKind.PARAGRAPH
        self._rows: list[_Row] = []
        self._table_rows = 0

    def run(self, root: LexborNode) -> None:
        """Visit ``root`` and everything in it, in order."""
        path = [root]
        self._open(root.tag or "")
        child = root.first_child
        while path:
            if child is None:
                node = path.pop()
                self._close(node.tag or "")
                child = node.next if path else None
            elif child.is_text_node:
                self._say(child.text(deep=False))
                child = child.next
            elif not child.is_element_node or self._skips(child):
                child = child.next
            else:
                self._open(child.tag or "")
                path.append(child)
                child = child.first_child
                if len(path) >= _MOST_LEVELS:
                    self._draft.note("It is nested too deeply; the deepest parts were left out.")
                    child = None
        self._flush()

    def _skips(self, node: LexborNode) -> bool:
        tag = node.tag or ""
        if tag in _DROPPED:
            return True
        attributes = node.attributes
        style = attributes.get("style") or ""
        if "hidden" in attributes or (style and _HIDDEN_STYLE.search(style)):
            if node.text().strip():
                self._draft.note("Text that a browser would not show was left out.")
            return True
        if tag in ("input", "textarea") and attributes.get("type") != "hidden":
            self._say(f" {attributes.get('value') or ''} ")
        return False

    def _say(self, text: str | None) -> None:
        if text:
            row = self._rows[-1] if self._rows else None
            target = row.cells[-1] if row and not row.layout and row.cells else self._text
            target.append(text)

    def _open(self, tag: str) -> None:
        row = self._rows[-1] if self._rows else None
        if tag == "tr":
            self._flush()
            self._rows.append(_Row())
        elif tag in ("td", "th") and row is not None:
            if row.layout:
                self._flush()
            else:
                row.cells.append([])
        elif tag == "table":
            if row is not None and not row.layout:
                row.layout = True
                for cell in row.cells:
                    self._draft.add("".join(cell))
                row.cells.clear()
            self._flush()
        elif tag == "br" or tag in _BLOCKS or tag in _HEADINGS or tag == "li":
            self._break()
            if tag in _HEADINGS:
                self._kind = BlockKind.HEADING
            elif tag == "li":
                self._kind = BlockKind.LIST_ITEM

    def _close(self, tag: str) -> None:
        if tag == "tr" and self._rows:
            self._flush()
            row = self._rows.pop()
            self._table_rows += 1
            if not row.layout:
                cells = ["".join(cell) for cell in row.cells]
                self._draft.row(cells, locator=f"table row {self._table_rows}")
        elif tag in _BLOCKS or tag in _HEADINGS or tag == "li":
            self._break()

    def _break(self) -> None:
        """End a block, or a line within a cell."""
        row = self._rows[-1] if self._rows else None
        if row is not None and not row.layout and row.cells:
            row.cells[-1].append(" ")
        else:
            self._flush()

    def _flush(self) -> None:
        if self._text:
            self._draft.add("".join(self._text), self._kind)
        self._text.clear()
        self._kind = BlockKind.PARAGRAPH
