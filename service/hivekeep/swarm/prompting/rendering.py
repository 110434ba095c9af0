"""Document blocks as prompt text: rows rejoined, pages marked, delimiters neutralised.

Responsible for how a document looks to the model; not for which blocks are sent.  Invariant: no
text from a document can end the part of the prompt that is marked as data.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hivekeep.domain.documents import Block

OPENING = "<<<DOCUMENT"
CLOSING = "DOCUMENT>>>"

# Chat templates of common model families; in a document they are only text.
_SPECIAL = re.compile(r"<\|[^|<>\n]{1,40}\|>|\[/?INST\]|</?s>|<</?SYS>>", re.IGNORECASE)


def render(blocks: Sequence[Block]) -> str:
    """``blocks`` as text, one line a printed row, ``[p.N]`` where a page begins."""
    pages = len({block.page for block in blocks})
    lines: list[str] = []
    previous: Block | None = None
    for block in blocks:
        text = clean(block.text)
        if not text:
            continue
        new_page = previous is None or previous.page != block.page
        if new_page and pages > 1:
            lines.append(f"[p.{block.page}]")
        if previous is not None and not new_page and same_row(previous, block):
            lines[-1] = f"{lines[-1]} | {text}"
        else:
            lines.append(text)
        previous = block
    return "\n".join(lines)


def clean(text: str) -> str:
    """Block text with collapsed spaces and without anything that could pass for a delimiter."""
    kept = "\n".join(" ".join(line.split()) for line in text.splitlines())
    kept = "\n".join(line for line in kept.split("\n") if line)
    kept = kept.replace("<<<", "< < <").replace(">>>", "> > >")
    return _SPECIAL.sub(" ", kept)


def same_row(left: Block, right: Block) -> bool:
    """Whether ``right`` stands on the same printed row as ``left``, further to the right."""
    one, two = left.box, right.box
    if one is None or two is None or "\n" in left.text or "\n" in right.text:
        return False
    overlap = min(one.y1, two.y1) - max(one.y0, two.y0)
    height = min(one.y1 - one.y0, two.y1 - two.y0)
    return two.x0 >= one.x1 - 0.01 and height > 0 and overlap > 0.5 * height
