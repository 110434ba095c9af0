"""The label and the origins of each value that an agent hands back.

Responsible for saying where values come from; joining is ``domain.provenance``'s, and what follows
from a label is policy's.  Invariant: a value is never more trusted than anything its agent has
read, and one that was journaled without a label counts as untrusted.
"""

from __future__ import annotations

from dataclasses import replace

from hivekeep.domain.actions import Label
from hivekeep.domain.documents import Document
from hivekeep.domain.provenance import Origin, OriginKind, Provenance, join_all, of
from hivekeep.domain.values import CheckedValue, DocumentResult, FieldValue, provenance_of

_MOST_PLACES = 3
_KINDS = {
    "message/rfc822": OriginKind.MAIL,
    "application/vnd.ms-outlook": OriginKind.MAIL,
    "text/html": OriginKind.WEB,
}


def from_document(result: DocumentResult, path: str, document: Document) -> DocumentResult:
    """``result`` with each value labelled as words of the document, at the places it rests on."""
    kind = _KINDS.get(document.media_type, OriginKind.DOCUMENT)
    whole = Origin(Label.UNTRUSTED, kind, path, sha256=document.sha256)
    return replace(result, values=tuple(_from(value, whole) for value in result.values))


def from_seen(result: DocumentResult, seen: Provenance) -> DocumentResult:
    """``result`` of an agent that has seen all this, any of which may have shaped any value."""
    return replace(result, values=tuple(replace(v, provenance=seen) for v in result.values))


def joined(result: DocumentResult | None) -> Provenance:
    """The provenance of something made from all values of a result."""
    return join_all(provenance_of(value) for value in result.values) if result else join_all(())


def _from(value: CheckedValue, whole: Origin) -> CheckedValue:
    places = value.evidence[:_MOST_PLACES] if isinstance(value, FieldValue) else ()
    origins = [
        replace(whole, place=", ".join(filter(None, (f"page {p.page}", p.locator))), quote=p.quote)
        for p in places
    ]
    return replace(value, provenance=of(*(origins or [whole])))
