"""Reading and searching the documents of a run.

Responsible for handing an agent passages with their places, within a bound; reading itself is the
library's.  Invariant: whatever comes from a document is labelled untrusted and names its document.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from hivekeep.domain.actions import Label
from hivekeep.domain.documents import Block, Document
from hivekeep.domain.errors import DocumentError
from hivekeep.domain.provenance import Origin, OriginKind, Provenance, of
from hivekeep.tools.context import ToolContext
from hivekeep.tools.spec import Arguments, EffectClass, Happened, ToolResult, ToolSpec

FileName = Annotated[str, Field(min_length=1, max_length=300, json_schema_extra={"x-file": True})]
_MOST_CHARACTERS = 4_000
_MOST_SEARCHED = 500
_SNIPPET = 320
_WORD = re.compile(r"[^\W_]+")
# BM25 with its usual constants: Robertson and Zaragoza, "The Probabilistic Relevance Framework".
_K1, _B = 1.2, 0.75


class ReadArguments(Arguments):
    """Which document, and from which block on."""

    file: FileName
    first_block: Annotated[int, Field(ge=0, le=1_000_000)] = 0


class ReadDocument:
    """``read_document``: a document's blocks, some pages at a time."""

    spec = ToolSpec(
        name="read_document",
        description="shows the text of a document from a block on, 0 being its beginning",
        arguments=ReadArguments,
        effect=EffectClass.READ,
        returns=Label.UNTRUSTED,
    )

    async def prepare(self, arguments: ReadArguments, context: ToolContext) -> dict[str, Any]:
        """The input that is meant, with its content's hash."""
        source = context.library.input(arguments.file)
        context.grant.require_read(source.path)
        return {"file": arguments.file, "first": arguments.first_block, "sha256": source.sha256}

    async def perform(self, prepared: dict[str, Any], context: ToolContext) -> ToolResult:
        """As many blocks as fit, each with its number."""
        document = await context.library.read(prepared["file"])
        shown, following = _excerpt(document, prepared["first"])
        text = "\n".join(f"[{block.index}] {_line(block.text)}" for block in shown)
        if following is not None:
            text += f"\n(more from block {following} on)"
        data = {
            "file": prepared["file"],
            "blocks": [block.index for block in shown],
            "next": following,
            "pages": document.pages,
        }
        quote = " ".join(block.text for block in shown)
        return ToolResult(data, text or "(no text there)", _from(prepared["file"], document, quote))

    async def happened(self, prepared: dict[str, Any], context: ToolContext) -> Happened:  # noqa: ARG002
        """Reading changes nothing."""
        return Happened.NO


class SearchArguments(Arguments):
    """What to look for."""

    query: Annotated[str, Field(min_length=1, max_length=200)]


class SearchDocuments:
    """``search_documents``: the passages of all documents that fit some words best."""

    spec = ToolSpec(
        name="search_documents",
        description="finds the passages of all documents that fit some words best",
        arguments=SearchArguments,
        effect=EffectClass.READ,
        returns=Label.UNTRUSTED,
    )

    async def prepare(self, arguments: SearchArguments, context: ToolContext) -> dict[str, Any]:  # noqa: ARG002
        """The words."""
        return {"query": arguments.query}

    async def perform(self, prepared: dict[str, Any], context: ToolContext) -> ToolResult:
        """The best passages, and which documents could not be searched."""
        passages: list[_Passage] = []
        origins: list[Provenance] = []
        unread: list[str] = []
        for name in context.library.names[:_MOST_SEARCHED]:
            if not context.grant.may_read(context.library.input(name).path):
                continue
            try:
                document = await context.library.read(name)
            except DocumentError as error:
                unread.append(f"{name}: {error.reason}")
                continue
            passages += [_Passage(name, block) for block in document.blocks if block.text.strip()]
            origins.append(_from(name, document))
        best = rank(prepared["query"], passages)
        named = {passage.file for passage in best}
        lines = [
            f"{item.file} [{item.block.index}] p.{item.block.page}: "
            f"{_line(item.block.text)[:_SNIPPET]}"
            for item in best
        ]
        lines += [f"(not searched: {line})" for line in unread[:5]]
        data = {
            "found": [{"file": p.file, "block": p.block.index, "page": p.block.page} for p in best],
            "unread": unread,
        }
        # Also what is only said not to have been searched has names that a sender chose.
        provenance = of(Origin(Label.UNTRUSTED, OriginKind.FILE_NAME, "names of the documents"))
        for origin in origins:
            if origin.origins[0].name in named:
                provenance = provenance.join(origin)
        return ToolResult(data, "\n".join(lines) or "(nothing found)", provenance)

    async def happened(self, prepared: dict[str, Any], context: ToolContext) -> Happened:  # noqa: ARG002
        """Searching changes nothing."""
        return Happened.NO


@dataclass(frozen=True, slots=True)
class _Passage:
    file: str
    block: Block


def rank(query: str, passages: Iterable[_Passage], most: int = 6) -> list[_Passage]:
    """The passages that fit ``query`` best, best first; those without any of its words left out."""
    wanted = set(_words(query))
    candidates = [(passage, Counter(_words(passage.block.text))) for passage in passages]
    if not wanted or not candidates:
        return []
    average = sum(words.total() for _, words in candidates) / len(candidates)
    rarity = {
        word: math.log(1 + len(candidates) / (1 + sum(word in words for _, words in candidates)))
        for word in wanted
    }

    def score(words: Counter[str]) -> float:
        length = 1 - _B + _B * words.total() / average
        return sum(
            rarity[word] * words[word] * (_K1 + 1) / (words[word] + _K1 * length)
            for word in wanted
            if words[word]
        )

    scored = [(score(words), number) for number, (_, words) in enumerate(candidates)]
    scored = sorted((item for item in scored if item[0] > 0), key=lambda item: (-item[0], item[1]))
    return [candidates[number][0] for _, number in scored[:most]]


def _words(text: str) -> list[str]:
    """Words in lower case; a run of Chinese or Japanese characters counts by its pairs."""
    words: list[str] = []
    for word in _WORD.findall(text.casefold()):
        if word[0] > "\u2e7f" and len(word) > 1:
            words += [word[at : at + 2] for at in range(len(word) - 1)]
        else:
            words.append(word)
    return words


def _excerpt(document: Document, first: int) -> tuple[list[Block], int | None]:
    shown: list[Block] = []
    used = 0
    for block in document.blocks[first:]:
        cost = len(_line(block.text)) + 8
        if shown and used + cost > _MOST_CHARACTERS:
            return shown, block.index
        shown.append(block)
        used += cost
    return shown, None


def _line(text: str) -> str:
    return " ".join(text.split())[:_MOST_CHARACTERS]


def _from(name: str, document: Document, quote: str = "") -> Provenance:
    """The document, with the beginning of what was shown: an approval shows it to a person."""
    origin = Origin(Label.UNTRUSTED, OriginKind.DOCUMENT, name, quote=quote, sha256=document.sha256)
    return of(origin)
