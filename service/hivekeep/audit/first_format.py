"""The bytes of the audit log's first version, which is only read any more.

Responsible for layout, keys and opening; not for files.  A record's ciphertext is bound to its
segment, its number and the hash of the record before it, so none can be changed, moved or left out
without that showing.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC = b"HKAUD1\n\0"
GENESIS = bytes(32)
MAX_RECORD = 1 << 20

# magic, segment number, first record's number, hash of the record before it, salt, MAC
_HEADER = struct.Struct(">8sQQ32s16s32s")
# length of what follows, record number, hash of the record before, nonce
_PREFIX = struct.Struct(">IQ32s12s")
# records in total, hash of the last one, MAC
_HEAD = struct.Struct(">Q32s32s")

HEADER_SIZE = _HEADER.size
PREFIX_SIZE = _PREFIX.size
_AFTER_LENGTH = PREFIX_SIZE - 4
_TAG = 16


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """The start of a segment; ``raw`` are its bytes as stored."""

    number: int
    first: int
    previous: bytes
    salt: bytes
    raw: bytes


@dataclass(frozen=True, slots=True)
class SealedRecord:
    """One record as stored; ``hash`` is SHA-256 over all its bytes."""

    sequence: int
    previous: bytes
    nonce: bytes
    ciphertext: bytes
    raw: bytes

    @property
    def hash(self) -> bytes:
        """What the next record names as its predecessor."""
        return hashlib.sha256(self.raw).digest()


@dataclass(frozen=True, slots=True)
class Head:
    """How far the log had come: ``count`` records, the last of which has ``hash``."""

    count: int
    hash: bytes


class FormatError(Exception):
    """Bytes that are not what they should be; the message says in what way."""


def parse_header(master: bytes, raw: bytes) -> SegmentHeader:
    """A segment's header.

    :raises FormatError: if it is short, foreign or was changed.
    """
    if len(raw) < HEADER_SIZE:
        raise FormatError("the segment's header is cut off")
    raw = raw[:HEADER_SIZE]
    magic, number, first, previous, salt, mac = _HEADER.unpack(raw)
    if magic != MAGIC:
        raise FormatError("this is not an audit segment")
    if not hmac.compare_digest(mac, _mac(master, b"segment header", raw[:-32])):
        raise FormatError("the segment's header was changed, or belongs to another key")
    return SegmentHeader(number, first, previous, salt, raw)


class Opener:
    """Opens the records of one segment."""

    def __init__(self, master: bytes, header: SegmentHeader) -> None:
        self._header = header.raw
        self._cipher = AESGCM(_derive(master, header.salt, b"hivekeep audit segment"))

    def open(self, record: SealedRecord) -> bytes:
        """Decrypt and authenticate one record.

        :raises FormatError: if any of its bytes was changed.
        """
        try:
            bound = self._bound_to(record.sequence, record.previous)
            return self._cipher.decrypt(record.nonce, record.ciphertext, bound)
        except InvalidTag as error:
            raise FormatError("the record was changed") from error

    def _bound_to(self, sequence: int, previous: bytes) -> bytes:
        return self._header + struct.pack(">Q", sequence) + previous


def parse_record(data: bytes, offset: int) -> SealedRecord:
    """The record that begins at ``offset`` of a segment.

    :raises FormatError: if it is cut off or its length makes no sense.
    """
    if offset + PREFIX_SIZE > len(data):
        raise FormatError("the record is cut off")
    length, sequence, previous, nonce = _PREFIX.unpack_from(data, offset)
    if not _AFTER_LENGTH + _TAG <= length <= MAX_RECORD:
        raise FormatError("the record's length makes no sense")
    end = offset + 4 + length
    if end > len(data):
        raise FormatError("the record is cut off")
    raw = data[offset:end]
    return SealedRecord(sequence, previous, nonce, raw[PREFIX_SIZE:], raw)


def parse_head(master: bytes, raw: bytes) -> Head:
    """The stored head.

    :raises FormatError: if it was changed or belongs to another key.
    """
    if len(raw) != _HEAD.size:
        raise FormatError("the head has the wrong size")
    count, last, mac = _HEAD.unpack(raw)
    if not hmac.compare_digest(mac, _mac(master, b"head", raw[:-32])):
        raise FormatError("the head was changed, or belongs to another key")
    return Head(count, last)


def _derive(master: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt, info).derive(master)


def _mac(master: bytes, purpose: bytes, body: bytes) -> bytes:
    return hmac.digest(_derive(master, b"", b"hivekeep audit " + purpose), body, "sha256")
