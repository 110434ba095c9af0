"""Amounts and numbers as they are printed, read as decimals.

Responsible for finding numbers in text and for every reading that each can have ("1.234" is a
thousand in German and one and a bit in English); which reading holds is decided from the document
as a whole.  Invariant: a reading never has digits that are not printed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from hivekeep.swarm.verification.currencies import CurrencyMention, find_currencies

_SPACES = "\u0020\u00a0\u2009\u202f\u2007"
_DIGIT_MAP = {
    ord(full): plain for full, plain in zip("０１２３４５６７８９", "0123456789", strict=True)
}
_SAME = {
    **_DIGIT_MAP,
    **dict.fromkeys(map(ord, _SPACES + "\t\n\r"), " "),
    **dict.fromkeys(map(ord, "−–‒﹣－—"), "-"),
    **dict.fromkeys(map(ord, "’‘´`＇"), "'"),
    ord("．"): ".",
    ord("，"): ",",
    ord("（"): "(",
    ord("）"): ")",
}

_NUMBER = re.compile(
    r"""(?<![\d])
    (?:
        \d{1,3}(?:[ ]\d{3})+(?:[ ]?[.,][ ]?\d{1,4})?(?!\d)      # 1 234 567,89
      | \d{1,3}(?:'\d{3})+(?:[.,]\d{1,4})?                      # 1'234'567.89
      | \d{1,3}(?:[.,]\d{2,4})*(?:[.,]\d{3})+[.,]\d{1,4}(?!\d)  # 1.234.567,89  12,34,567.89
      | \d{1,3}(?:([.,])\d{3})(?:\1\d{3})+(?!\d)                # 1.234.567
      | \d+[ ]?[.,][ ]?\d{2}(?!\d)                              # 9 .00  12, 50
      | \d+[.,]\d+                                              # 1234.5  3,3333
      | [.,]\d{2}(?!\d)                                         # .50
      | \d+
    )""",
    re.VERBOSE,
)


class Style(StrEnum):
    """Which mark separates a document's decimals."""

    POINT = "point"
    COMMA = "comma"


@dataclass(frozen=True, slots=True)
class AmountMention:
    """Characters ``start`` to ``end``, the readings by style, and a currency printed beside it.

    ``start`` and ``end`` include a sign but not the currency.  ``money`` says whether it is printed
    like an amount of money: two decimals, or a currency beside it.
    """

    start: int
    end: int
    readings: tuple[tuple[Style, Decimal], ...]
    currency: tuple[str, ...] = ()
    money: bool = False
    percent: bool = False

    @property
    def values(self) -> frozenset[Decimal]:
        """The distinct numbers the mention may mean."""
        return frozenset(value for _, value in self.readings)

    def resolve(self, style: Style | None) -> Decimal | None:
        """The number in the document's ``style``; ``None`` if it cannot be told."""
        if len(self.values) == 1:
            return self.readings[0][1]
        return next((value for known, value in self.readings if known is style), None)


def find_amounts(text: str) -> list[AmountMention]:
    """All numbers in ``text``, left to right, those in dates included: the caller chooses."""
    plain = text.translate(_SAME)
    currencies = find_currencies(text)
    found = []
    for match in _NUMBER.finditer(plain):
        start, end = match.span()
        if _inside_word(plain, start, end):
            continue
        mention = _mention(plain, match.group(), start, end, currencies)
        if mention:
            found.append(mention)
        if " " in match.group() and " " in text[start:end]:
            # "10 204,75" may be a quantity of 10 beside a price: both stay possible.
            tail = match.group().lstrip("0123456789").lstrip(" ")
            if tail[:1].isdigit() and re.fullmatch(r"[\d.,]+", tail):
                other = _mention(plain, tail, end - len(tail), end, currencies)
                if other:
                    found.append(other)
    return found


def parse_amount(raw: str) -> AmountMention | None:
    """``raw`` as one number, with or without a currency; ``None`` if it is not exactly one."""
    found = find_amounts(raw.strip())
    return found[0] if len(found) == 1 else None


def document_style(texts: Iterable[str]) -> Style | None:
    """The decimal mark that the document's unambiguous numbers agree on."""
    votes: Counter[Style] = Counter()
    for text in texts:
        for mention in find_amounts(text):
            styles = {style for style, _ in mention.readings}
            if mention.money and len(styles) == 1:
                votes[styles.pop()] += 1
    if not votes:
        return None
    (best, count), *rest = votes.most_common()
    return best if not rest or count > 2 * rest[0][1] else None


def canonical(value: Decimal) -> str:
    """The normal form of an amount: at least two decimals, no exponent, a point."""
    text = format(value, "f")
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0").ljust(2, "0")
    return f"{whole}.{fraction}" if Decimal(f"{whole}.{fraction}") else f"0.{fraction}"


def _inside_word(text: str, start: int, end: int) -> bool:
    """Whether the digits belong to an identifier such as ``A123`` or ``12-345-B``."""
    before = text[start - 1] if start else " "
    after = text[end] if end < len(text) else " "
    if before in "/\\#_" or after in "/\\_":
        return True
    if before.isascii() and before.isalpha():
        word = re.search(r"[A-Za-z]+$", text[:start])
        return word is None or not find_currencies(text[word.start() : start])
    if after.isascii() and after.isalpha():
        word = re.match(r"[A-Za-z]+", text[end:])
        return word is None or not (
            find_currencies(word.group())
            or word.group().upper() in ("CR", "DR", "SR", "ZRL", "T", "S")
        )
    return False


def _mention(
    text: str, digits: str, start: int, end: int, currencies: list[CurrencyMention]
) -> AmountMention | None:
    beside = _beside(text, start, end, currencies)
    left = min(start, beside.start) if beside else start
    right = max(end, beside.end) if beside else end
    glued = beside is not None and beside.end <= start and "-" in text[beside.end : start]
    if glued:
        negative, start = True, text.index("-", beside.end if beside else 0)
    else:
        negative, start, end = _sign(text, start, end, left, right)
    readings = _read(
        digits.replace(" ", "").replace("'", ""), grouped="'" in digits or " " in digits
    )
    if not readings:
        return None
    if negative:
        readings = tuple((style, -value) for style, value in readings)
    decimals = re.search(r"[.,] ?(\d+)$", digits)
    money = bool(beside) or bool(decimals and len(decimals.group(1)) == 2)
    percent = text[end:].lstrip(" ")[:1] in ("%", "‰")
    codes = beside.codes if beside else ()
    return AmountMention(start, end, readings, codes, money and not percent, percent)


def _beside(
    text: str, start: int, end: int, currencies: list[CurrencyMention]
) -> CurrencyMention | None:
    for currency in currencies:
        between = (
            text[currency.end : start] if currency.end <= start else text[end : currency.start]
        )
        touching = currency.end <= start or currency.start >= end
        if touching and len(between) <= 3 and not between.strip(" -+(:.*"):
            return currency
    return None


def _sign(text: str, start: int, end: int, left: int, right: int) -> tuple[bool, int, int]:
    """Whether the number is negative, and its span with the sign that says so."""
    before = text[:left].rstrip(" ")
    inner = text[left:start]
    after = text[right:]
    if "-" in inner and not re.search(r"[A-Za-z]-$", inner):
        return True, left + inner.index("-"), end
    if before.endswith("-") and (len(before) == 1 or before[-2] in " (:|"):
        return True, len(before) - 1, end
    if before.endswith("(") and after.lstrip(" ").startswith(")"):
        return True, start, end
    tail = re.match(r" ?(?:-(?=\s|$)|(?i:CR)\b)", after)
    if tail:
        return True, start, right + tail.end() if right == end else end
    return False, start, end


def _read(digits: str, *, grouped: bool) -> tuple[tuple[Style, Decimal], ...]:
    """Every reading of a number made of digits, points and commas."""
    marks = [char for char in digits if char in ".,"]
    if not marks:
        value = Decimal(digits)
        return (Style.POINT, value), (Style.COMMA, value)
    last = marks[-1]
    style = Style.POINT if last == "." else Style.COMMA
    other = Style.COMMA if last == "." else Style.POINT
    whole, _, fraction = digits.rpartition(last)
    whole_digits = whole.replace(".", "").replace(",", "")
    decimal = Decimal(f"{whole_digits or '0'}.{fraction}")
    if len(set(marks)) == 2:
        return ((style, decimal),) if marks.count(last) == 1 else ()
    thousands = Decimal(f"{whole_digits}{fraction}") if len(fraction) == 3 else None
    if len(marks) > 1:
        # Several equal marks can only be thousands.
        return ((other, thousands),) if thousands is not None else ()
    if thousands is not None and 1 <= len(whole) <= 3 and not whole.startswith("0") and not grouped:
        return (style, decimal), (other, thousands)
    return ((style, decimal),)
