"""The search index of one segment: which records have which value in which field.

Responsible for building, sealing and asking it.  A value appears only as a keyed hash under a key
of the segment, and the whole is encrypted besides, so the disk does not show which records agree.
Invariant: it is derived; a missing or damaged index is built again from its segment.
"""

from __future__ import annotations

import hmac
import os
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hivekeep.audit.record import AuditRecord
from hivekeep_verify.frames import FormatError

FIELDS = ("action", "actor", "subject", "user", "job", "agent", "rule", "outcome")
"""Fields of one value; besides these, ``data``, ``label`` and ``model`` are indexed."""

SEARCHABLE = (*FIELDS, "data", "label", "model")
_NONCE = 12
_PLACE = b"hivekeep audit index 1\n"


def terms(record: AuditRecord) -> Iterator[tuple[str, str]]:
    """Every field and value that a record can be found by."""
    for name in FIELDS:
        value = getattr(record, name)
        if value:
            yield name, value
    for item in record.data:
        yield from (("data", value) for value in (item.name, item.sha256) if value)
        if item.label:
            yield "label", item.label
    if record.model is not None:
        model = record.model
        yield from (("model", value) for value in (model.name, model.sha256) if value)


def token(key: bytes, field: str, value: str) -> int:
    """The keyed hash that stands for a field's value in one segment."""
    message = f"{field}\0{value}".encode("utf-8", "backslashreplace")
    return int.from_bytes(hmac.digest(key, message, "sha256")[:8], "big")


def build(key: bytes, found: Iterable[tuple[int, AuditRecord]], digest: bytes) -> bytes:
    """The sealed index of records and their offsets in the segment.

    :param digest: the segment's last chain value, so that an index of an older state is not used.
    """
    postings: dict[int, array[int]] = {}
    known: dict[tuple[str, str], int] = {}
    for offset, record in found:
        for term in terms(record):
            number = known.get(term)
            if number is None:
                number = known[term] = token(key, *term)
            postings.setdefault(number, array("I")).append(offset)
    tokens = array("Q", sorted(postings))
    ends, offsets = array("I"), array("I")
    for number in tokens:
        offsets.extend(postings[number])
        ends.append(len(offsets))
    plain = len(tokens).to_bytes(4, "little") + b"".join(map(_little, (tokens, ends, offsets)))
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(_cipher_key(key)).encrypt(nonce, plain, _PLACE + digest)


class Index:
    """An opened index.

    :raises FormatError: if it was changed, or is of another state of the segment.
    """

    def __init__(self, key: bytes, sealed: bytes, digest: bytes) -> None:
        self._key = key
        try:
            plain = AESGCM(_cipher_key(key)).decrypt(
                sealed[:_NONCE], sealed[_NONCE:], _PLACE + digest
            )
        except (InvalidTag, ValueError) as error:
            raise FormatError("the search index does not belong to its segment") from error
        count = int.from_bytes(plain[:4], "little")
        at = 4 + 8 * count
        self._tokens = _array("Q", plain[4:at])
        self._ends = _array("I", plain[at : at + 4 * count])
        self._offsets = _array("I", plain[at + 4 * count :])

    def find(self, query: Mapping[str, str]) -> list[int]:
        """The offsets of the records that have all these values, in order."""
        found: set[int] | None = None
        for field, value in query.items():
            here = set(self._postings(token(self._key, field, value)))
            found = here if found is None else found & here
            if not found:
                return []
        return sorted(found or ())

    def _postings(self, number: int) -> array[int]:
        at = bisect_left(self._tokens, number)
        if at == len(self._tokens) or self._tokens[at] != number:
            return array("I")
        start = self._ends[at - 1] if at else 0
        return self._offsets[start : self._ends[at]]


def _cipher_key(key: bytes) -> bytes:
    return sha256(b"hivekeep audit index cipher\n" + key).digest()


def _little(values: array[int]) -> bytes:
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values.tobytes()


def _array(kind: str, raw: bytes) -> array[int]:
    values: array[int] = array(kind, raw)
    if sys.byteorder == "big":
        values.byteswap()
    return values
