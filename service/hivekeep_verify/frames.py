"""The frames of a segment file, and the hashes over them.

Responsible for bytes; not for files, signatures or content.  Invariant: every byte of a frame is
covered by its chain value, and every entry's leaf covers the chain value before it, so that the
Merkle root also covers all earlier frames.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

MAGIC = b"HKAUD2\n\0"
GENESIS = bytes(32)
MAX_FRAME = 1 << 20

EVENT, NOTE, COMMIT = 1, 2, 3

_LENGTH = struct.Struct(">I")
_ENTRY = struct.Struct(">BQ")
_COMMIT = struct.Struct(">BQI32s64s")
_HASH = 32
ENTRY_SIZE = _ENTRY.size
# commitment, nonce, GCM tag
_LEAST_EVENT = ENTRY_SIZE + 32 + 12 + 16


class FormatError(Exception):
    """Bytes that are not what they should be; the message says in what way."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as stored; ``offset`` is where its length begins, ``chain`` its own chain value."""

    offset: int
    kind: int
    body: bytes
    chain: bytes

    @property
    def end(self) -> int:
        """Where the next frame begins."""
        return self.offset + _LENGTH.size + len(self.body) + _HASH

    @property
    def index(self) -> int:
        """The leaf index of an entry; of a commit, the number of leaves it covers."""
        return int(_ENTRY.unpack_from(self.body)[1])

    @property
    def content(self) -> bytes:
        """What follows kind and index."""
        return self.body[ENTRY_SIZE:]


@dataclass(frozen=True, slots=True)
class Commit:
    """A checkpoint in its compact form: the origin comes from the segment."""

    size: int
    epoch: int
    root: bytes
    signature: bytes


def event_body(index: int, commitment: bytes, nonce: bytes, ciphertext: bytes) -> bytes:
    """The body of a sealed event."""
    return _ENTRY.pack(EVENT, index) + commitment + nonce + ciphertext


def note_body(index: int, text: bytes) -> bytes:
    """The body of a public note, which is canonical JSON."""
    return _ENTRY.pack(NOTE, index) + text


def commit_body(size: int, epoch: int, root: bytes, signature: bytes) -> bytes:
    """The body of a commit over ``size`` leaves."""
    return _COMMIT.pack(COMMIT, size, epoch, root, signature)


def parse_commit(frame: Frame) -> Commit:
    """The commit in a frame of that kind.

    :raises FormatError: if it has the wrong size.
    """
    if len(frame.body) != _COMMIT.size:
        raise FormatError("the checkpoint has the wrong size")
    _, size, epoch, root, signature = _COMMIT.unpack(frame.body)
    return Commit(size, epoch, root, signature)


def leaf_data(body: bytes, previous: bytes) -> bytes:
    """What an entry's leaf hash is taken over; it reveals nothing of the content.

    :param previous: the chain value of the frame before.
    """
    if body[0] == EVENT:
        at = ENTRY_SIZE + _HASH
        return body[:ENTRY_SIZE] + previous + body[ENTRY_SIZE:at] + sha256(body[at:]).digest()
    return body[:ENTRY_SIZE] + previous + sha256(body[ENTRY_SIZE:]).digest()


def leaf_hash(data: bytes) -> bytes:
    """RFC 9162, 2.1.1: the hash of a leaf."""
    return sha256(b"\0" + data).digest()


def entry_chain(previous: bytes, leaf: bytes) -> bytes:
    """The chain value of an entry."""
    return sha256(b"\2" + previous + leaf).digest()


def commit_chain(previous: bytes, body: bytes) -> bytes:
    """The chain value of a commit."""
    return sha256(b"\3" + previous + body).digest()


def pack(body: bytes, chain: bytes) -> bytes:
    """A frame as stored."""
    return _LENGTH.pack(len(body) + _HASH) + body + chain


def parse_frame(data: bytes, offset: int) -> Frame:
    """The frame that begins at ``offset``.

    :raises FormatError: if it is cut off or makes no sense.
    """
    start = offset + _LENGTH.size
    if start > len(data):
        raise FormatError("the frame is cut off")
    (length,) = _LENGTH.unpack_from(data, offset)
    if not ENTRY_SIZE + _HASH <= length <= MAX_FRAME:
        raise FormatError("the frame's length makes no sense")
    end = start + length
    if end > len(data):
        raise FormatError("the frame is cut off")
    body = data[start : end - _HASH]
    kind = body[0]
    if kind not in (EVENT, NOTE, COMMIT) or (kind == EVENT and len(body) < _LEAST_EVENT):
        raise FormatError("the frame is of no known kind")
    return Frame(offset, kind, body, data[end - _HASH : end])


def is_padding(data: bytes, offset: int) -> bool:
    """Whether only zeros follow, by which a segment that is being written is extended ahead."""
    return not data[offset : offset + _LENGTH.size].strip(b"\0") and not data[offset:].strip(b"\0")


def parse_frames(data: bytes) -> Iterator[Frame]:
    """All frames of a segment in order.

    :raises FormatError: at the first one that cannot be told apart; none can be behind it.
    """
    if data[: len(MAGIC)] != MAGIC:
        raise FormatError("this is not an audit segment")
    offset = len(MAGIC)
    while offset < len(data) and not is_padding(data, offset):
        frame = parse_frame(data, offset)
        yield frame
        offset = frame.end
