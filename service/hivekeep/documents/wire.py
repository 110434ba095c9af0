"""The frames between the daemon, a reader process and the OCR process.

Responsible for plain bytes to plain types and back; not for transport or policy.  A frame is one
kind byte, a 32-bit big-endian length and a payload.  Invariant: what a hostile reader process sends
becomes domain types or a :class:`WireError`, never anything else; no text in them has lone
surrogates, and no number is infinite or out of its range.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any

from hivekeep.documents.failures import Reason
from hivekeep.domain.documents import Block, BlockKind, Box, Document, ReadLimits
from hivekeep.domain.errors import DocumentError

HEADER = struct.Struct(">BI")
PIXELS = struct.Struct(">IIB")
LONGEST_JSON = 8 * 1024 * 1024
MOST_PIXELS = 12_000_000
MOST_BLOCKS = 100_000
_MOST_PAGES = 1_000_000


class WireError(Exception):
    """The other side sent something that is not in the protocol."""


class Frame(IntEnum):
    """The kinds of frames."""

    BLOCKS = 1
    DONE = 2
    FAILED = 3
    RECOGNIZE = 4
    RECOGNIZED = 5
    DRAWN = 6


@dataclass(frozen=True, slots=True)
class Job:
    """One document to read. ``id`` is chosen by the pool and names the process to the host.

    With ``page`` (from 1) that page is drawn instead of the text being read.
    """

    id: int
    path: str
    expected_sha256: str
    limits: ReadLimits
    page: int = 0


@dataclass(frozen=True, slots=True)
class Pixels:
    """A picture as raw rows: ``channels`` is 1 (grey) or 3 (RGB), 8 bits each."""

    width: int
    height: int
    channels: int
    data: bytes


@dataclass(frozen=True, slots=True)
class TextLine:
    """One recognised run of text; ``corners`` are 4 points in pixels, clockwise from top left."""

    text: str
    score: float
    corners: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Recognized:
    """What OCR found; ``why`` is set if it could not look."""

    lines: tuple[TextLine, ...] = ()
    why: str = ""


def longest(kind: int) -> int:
    """The most payload bytes that a frame of ``kind`` may have.

    :raises WireError: if there is no such kind.
    """
    if kind in (Frame.RECOGNIZE, Frame.DRAWN):
        return PIXELS.size + 3 * MOST_PIXELS
    if kind in {int(known) for known in Frame}:
        return LONGEST_JSON
    raise WireError("unknown kind of frame")


def pack(kind: Frame, payload: bytes) -> bytes:
    """A whole frame."""
    return HEADER.pack(kind, len(payload)) + payload


def pack_json(kind: Frame, payload: Any) -> bytes:
    """A whole frame around JSON."""
    return pack(kind, json.dumps(payload, ensure_ascii=False).encode("utf-8", "surrogatepass"))


def unpack_json(payload: bytes) -> Any:
    """:raises WireError: if the payload is not JSON."""
    try:
        return json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise WireError("not JSON") from error


def encode_job(job: Job) -> bytes:
    """One line for the host."""
    return json.dumps({"job": asdict(job)}).encode() + b"\n"


def decode_job(fields: dict[str, Any]) -> Job:
    """The inverse of :func:`encode_job`, after JSON."""
    return Job(**{**fields, "limits": ReadLimits(**fields["limits"])})


def encode_blocks(blocks: Iterable[Block]) -> bytes:
    """A ``BLOCKS`` frame."""
    rows = []
    for block in blocks:
        box = block.box
        corners = [round(value, 5) for value in (box.x0, box.y0, box.x1, box.y1)] if box else None
        rows.append(
            [block.page, block.text, block.kind.value, corners, block.locator, block.confidence]
        )
    return pack_json(Frame.BLOCKS, rows)


def decode_blocks(payload: bytes, first: int) -> list[Block]:
    """The blocks of a frame, numbered from ``first``.

    :raises WireError: if a value has the wrong type or is out of range.
    """
    try:
        return [
            Block(
                index=first + offset,
                page=_integer(page, _MOST_PAGES),
                text=_text(text),
                kind=BlockKind(kind),
                box=None if corners is None else Box(*(_fraction(value) for value in corners)),
                locator=_text(locator),
                confidence=None if confidence is None else _fraction(confidence),
            )
            for offset, (page, text, kind, corners, locator, confidence) in enumerate(
                unpack_json(payload)
            )
        ]
    except (TypeError, ValueError) as error:
        raise WireError("a block is malformed") from error


def encode_done(document: Document) -> bytes:
    """A ``DONE`` frame: everything but the blocks, which went before."""
    return pack_json(
        Frame.DONE,
        {
            "name": document.name,
            "media_type": document.media_type,
            "sha256": document.sha256,
            "size": document.size,
            "pages": document.pages,
            "notes": document.notes,
            "metadata": document.metadata,
        },
    )


def decode_done(payload: bytes, blocks: tuple[Block, ...]) -> Document:
    """:raises WireError: if a value has the wrong type."""
    fields = unpack_json(payload)
    try:
        return Document(
            name=_text(fields["name"]),
            media_type=_text(fields["media_type"]),
            sha256=_text(fields["sha256"]),
            size=_integer(fields["size"], 1 << 50),
            pages=_integer(fields["pages"], _MOST_PAGES),
            blocks=blocks,
            notes=tuple(_text(note) for note in fields["notes"]),
            metadata={_text(key): _text(value) for key, value in fields["metadata"].items()},
        )
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise WireError("the document is malformed") from error


def encode_failure(error: DocumentError) -> bytes:
    """A ``FAILED`` frame."""
    return pack_json(Frame.FAILED, error.as_dict())


def decode_failure(payload: bytes) -> DocumentError:
    """:raises WireError: if a value has the wrong type."""
    fields = unpack_json(payload)
    try:
        return DocumentError(
            _text(fields["what"]),
            reason=Reason(fields["reason"]).value,
            why=_text(fields["why"]),
            next_step=_text(fields["next"]),
        )
    except (TypeError, ValueError, KeyError) as error:
        raise WireError("the failure is malformed") from error


def encode_pixels(pixels: Pixels, kind: Frame = Frame.RECOGNIZE) -> bytes:
    """A ``RECOGNIZE`` or ``DRAWN`` frame."""
    head = PIXELS.pack(pixels.width, pixels.height, pixels.channels)
    return pack(kind, head + pixels.data)


def decode_pixels(payload: bytes) -> Pixels:
    """:raises WireError: if the size does not fit the data, or is empty or too large."""
    if len(payload) < PIXELS.size:
        raise WireError("the picture is malformed")
    width, height, channels = PIXELS.unpack_from(payload)
    data = payload[PIXELS.size :]
    fits = channels in (1, 3) and 0 < width * height <= MOST_PIXELS
    if not fits or len(data) != width * height * channels:
        raise WireError("the picture is malformed")
    return Pixels(width, height, channels, data)


def encode_recognized(found: Recognized) -> bytes:
    """A ``RECOGNIZED`` frame."""
    return pack_json(Frame.RECOGNIZED, asdict(found))


def decode_recognized(payload: bytes) -> Recognized:
    """:raises WireError: if a value has the wrong type."""
    fields = unpack_json(payload)
    try:
        lines = tuple(
            TextLine(
                _text(line["text"]),
                _fraction(line["score"]),
                tuple((_number(x), _number(y)) for x, y in line["corners"]),
            )
            for line in fields["lines"]
        )
        return Recognized(lines, _text(fields["why"]))
    except (TypeError, ValueError, KeyError) as error:
        raise WireError("the recognised text is malformed") from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not text")
    value.encode()  # a lone surrogate would fail much later, when the text is stored
    return value


def _number(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise TypeError("not a number")
    return float(value)


def _fraction(value: object) -> float:
    number = _number(value)
    if not 0.0 <= number <= 1.0:
        raise ValueError("not from 0 to 1")
    return number


def _integer(value: object, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError("not a whole number in range")
    return value
