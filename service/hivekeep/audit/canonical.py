"""Canonical JSON after RFC 8785, so that equal records have equal bytes.

Responsible for one direction only; the standard library reads it back.  What JSON cannot hold is
made text: numbers beyond 2^53 as their digits, lone surrogates (odd file names) as ``\\udcXX``.
"""

from __future__ import annotations

import json
import math
from typing import Any

_SAFE = 2**53
_ENCODE = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False, check_circular=False
).encode


def canonical(value: Any) -> bytes:
    """The canonical bytes of plain data.

    :raises ValueError: if it holds something that is neither text, number, truth, list nor mapping
        with text keys, or a number that is not finite.
    """
    return canonical_text(value).encode()


def quoted(text: str) -> str:
    """The canonical form of text; of anything else, as ``canonical_text``."""
    if type(text) is str and text.isascii():
        return _ENCODE(text)
    return canonical_text(text)


def canonical_text(value: Any) -> str:
    """What ``canonical`` encodes.

    :raises ValueError: as ``canonical``.
    """
    # The library's encoder differs from the RFC only in the order of keys that are not ASCII and
    # in how some floating-point numbers are written; both are rare here.
    if _is_simple(value):
        text = _ENCODE(value)
        if text.isascii():
            return text
    plain, simple = _plain(value)
    return _ENCODE(plain) if simple else _write(plain)


def _is_simple(value: Any) -> bool:
    """Whether the library's encoder writes a value canonically if all its text is ASCII."""
    kind = type(value)
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str or (type(item) is not str and not _is_simple(item)):
                return False
        return True
    if kind is int:
        return bool(-_SAFE <= value <= _SAFE)
    if kind is list:
        return all(map(_is_simple, value))
    return kind is str or value is None or kind is bool


def _plain(value: Any) -> tuple[Any, bool]:
    """The value as JSON can hold it, and whether the library's encoder writes it canonically."""
    kind = type(value)
    if kind is str:
        return _text(value), True
    if value is None or kind is bool:
        return value, True
    if kind is int:
        return (value if -_SAFE <= value <= _SAFE else str(value)), True
    if isinstance(value, dict):
        return _mapping(value)
    if isinstance(value, list | tuple):
        items = [_plain(item) for item in value]
        return [item for item, _ in items], all(simple for _, simple in items)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("a number that is not finite")
        return float(value), False
    if isinstance(value, str):
        return _text(str(value)), True
    if isinstance(value, int):
        return _plain(int(value))
    raise ValueError(f"something of type {kind.__name__}")


def _mapping(value: dict[Any, Any]) -> tuple[dict[str, Any], bool]:
    result: dict[str, Any] = {}
    simple = True
    for key, item in value.items():
        if not isinstance(key, str):
            raise ValueError("a key that is not text")  # noqa: TRY004 - one error for all
        plain, item_simple = _plain(item)
        result[_text(key)] = plain
        simple = simple and item_simple and key.isascii()
    return result, simple


def _text(value: str) -> str:
    if value.isascii():
        return value
    return value.encode("utf-8", "backslashreplace").decode()


def _write(value: Any) -> str:
    if isinstance(value, dict):
        pairs = sorted(value.items(), key=lambda pair: pair[0].encode("utf-16-be"))
        return "{" + ",".join(f"{_ENCODE(key)}:{_write(item)}" for key, item in pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_write(item) for item in value) + "]"
    return _number(value) if isinstance(value, float) else _ENCODE(value)


def _number(value: float) -> str:
    """As ECMAScript's ``Number::toString`` writes it (RFC 8785, 3.2.2.3)."""
    if value == 0:
        return "0"
    sign, value = ("-", -value) if value < 0 else ("", value)
    mantissa, _, exponent = f"{value!r}e0".partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = fraction if fraction != "0" else ""
    point = len(whole) + int(exponent.partition("e")[0])
    digits = whole + fraction
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    digits = stripped.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    tail = f".{digits[1:]}" if count > 1 else ""
    return f"{sign}{digits[0]}{tail}e{'+' if point > 0 else '-'}{abs(point - 1)}"
