"""From bytes of unknown encoding to text.

Responsible for byte order marks, UTF-16 without one, and a guess for the rest; not for what the
text means.  Invariant: it always returns text, and says when characters were lost.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

_BOMS = [
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
_SAMPLE = 64 * 1024
_DECLARED = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([A-Za-z0-9._-]{2,40})""", re.I)


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text, the encoding it was in, and whether some of its bytes made no sense in it."""

    text: str
    encoding: str
    lossy: bool = False


def decode(data: bytes, declared: str = "") -> Decoded:
    """Decode by byte order mark, then ``declared``, then UTF-8, then a guess."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _with(data, encoding)
    wide = _wide_encoding(data)
    if wide:
        return _with(data, wide)
    for encoding in (declared, "utf-8"):
        strict = _strictly(data, encoding)
        if strict is not None:
            return strict
    return _with(data, _guess(data) or "cp1252")


def declared_in(data: bytes) -> str:
    """The encoding that HTML or XML names for itself in its beginning, or an empty string."""
    found = _DECLARED.search(data[:2048])
    return found[1].decode("ascii") if found else ""


def is_binary(data: bytes) -> bool:
    """Whether the bytes are plainly no text in any encoding."""
    sample = data[:_SAMPLE]
    if any(sample.startswith(mark) for mark, _ in _BOMS) or _wide_encoding(sample):
        return False
    odd = sum(sample.count(bytes([byte])) for byte in (*range(9), *range(14, 27), 127))
    return odd > len(sample) * 0.02


def _strictly(data: bytes, encoding: str) -> Decoded | None:
    if not encoding:
        return None
    try:
        return Decoded(data.decode(encoding), encoding)
    except (UnicodeDecodeError, LookupError, ValueError):
        return None


def _with(data: bytes, encoding: str) -> Decoded:
    try:
        return Decoded(data.decode(encoding), encoding)
    except UnicodeDecodeError:
        return Decoded(data.decode(encoding, "replace"), encoding, lossy=True)


def _wide_encoding(data: bytes) -> str:
    """UTF-16 without a byte order mark: every other byte of mostly Latin text is zero."""
    sample = data[:4096]
    if len(sample) < 8:
        return ""
    even, odd = sample[0::2], sample[1::2]
    if odd.count(0) > 0.4 * len(odd) and even.count(0) < 0.05 * len(even):
        return "utf-16-le"
    if even.count(0) > 0.4 * len(even) and odd.count(0) < 0.05 * len(odd):
        return "utf-16-be"
    return ""


def _guess(data: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(data[:_SAMPLE]).best()
    return best.encoding if best is not None else ""
