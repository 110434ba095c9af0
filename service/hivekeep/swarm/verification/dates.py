"""Dates as they are printed, read as calendar days.

Responsible for finding date mentions in text and for every reading that each can have; which
reading holds is decided from the document as a whole.  Invariant: every reading is a real calendar
day between 1900 and 2100.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import lru_cache

from hivekeep.swarm.verification.text import fold

# Where these taxes and company forms are printed, no country writes the month first.
_DAY_FIRST_PLACES = re.compile(
    r"\b(?:sdn|bhd|pte|pty|gmbh|s\.?a\.?r\.?l|b\.v|s\.r\.l|vat|mwst|ust|tva|iva|btw)\b",
    re.IGNORECASE,
)
LANGUAGES = ("en", "de", "fr", "nl", "es", "it", "pt", "pl", "zh", "ja")


class Order(StrEnum):
    """The order in which a date of three numbers is printed."""

    DAY_FIRST = "dmy"
    MONTH_FIRST = "mdy"
    YEAR_FIRST = "ymd"


@dataclass(frozen=True, slots=True)
class DateMention:
    """Characters ``start`` to ``end`` and what they may mean, one entry per possible order."""

    start: int
    end: int
    readings: tuple[tuple[Order, date], ...]

    @property
    def days(self) -> frozenset[date]:
        """The distinct calendar days the mention may mean."""
        return frozenset(day for _, day in self.readings)

    @property
    def ambiguous(self) -> bool:
        """Whether the mention means different days in different orders."""
        return len(self.days) > 1

    def resolve(self, order: Order | None) -> date | None:
        """The day in the document's ``order``; ``None`` if it cannot be told."""
        if not self.ambiguous:
            return self.readings[0][1]
        return next((day for known, day in self.readings if known is order), None)


@lru_cache(maxsize=1)
def _months() -> dict[str, int]:
    from babel import Locale  # an idle daemon needs no locales

    names: dict[str, int] = {}
    for language in LANGUAGES[:8]:
        locale = Locale(language)
        for form in ("format", "stand-alone"):
            for width in ("wide", "abbreviated"):
                for number, name in locale.months[form][width].items():
                    key = fold(str(name)).rstrip(".")
                    if key and not key.isdigit():
                        names.setdefault(key, int(number))
    # Printed often, absent from CLDR: "Sept", the German "Maerz" of typewriters, Austrian January.
    names.update({"sept": 9, "maerz": 3, "mrz": 3, "janner": 1, "jaenner": 1, "mai": 5, "dez": 12})
    return names


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    months = "|".join(sorted(map(re.escape, _months()), key=len, reverse=True))
    sep = r"\s?[./\-]\s?"
    day = r"(?P<d>\d{1,2})"
    of = r"(?:\s?(?:\.|/|-|,|of\b|de\b|del\b|do\b))?"
    return (
        (re.compile(r"(?<!\d)(?P<y>\d{4})\s?[年년]\s?(?P<m>\d{1,2})\s?[月월]\s?(?P<d>\d{1,2})\s?[日号일]?"), "ymd"),
        (re.compile(rf"(?<![\d.,/-])(?P<y>(?:19|20)\d\d){sep}(?P<m>\d{{1,2}}){sep}(?P<d>\d{{1,2}})(?!\d|[./-]\d)"), "ymd"),
        (re.compile(rf"(?<![\d.,/-])(?P<a>\d{{1,2}}){sep}(?P<b>\d{{1,2}}){sep}(?P<y>(?:19|20)\d\d)(?!\d(?!\d:\d\d)|[/-]\d)"), "xxy"),
        (re.compile(r"(?<![\d.,/-])(?<!\b[A-Z])(?<!\b[A-Z]{2})(?P<a>\d{1,2})(?P<s>\s?[./\-]\s?)(?P<b>\d{1,2})(?P=s)(?P<y>\d\d)(?!\d|[.,/:-]\d|\s?%)"), "xxy"),
        (re.compile(rf"(?<![\d.,/-]){day}(?:st|nd|rd|th|er|º|°)?{of}\s?(?P<mon>{months})\b\.?(?:\s?(?:-|/|,|de\b|del\b|of\b))?\s?(?P<y>(?:19|20)\d\d|'?\d\d(?![\d:.,]\d|\d))"), "dmy"),
        (re.compile(rf"(?<![a-z])(?P<mon>{months})\b\.?\s?-?{day}(?:st|nd|rd|th)?(?:\s?,\s?|\s|-)(?P<y>(?:19|20)\d\d)(?!\d)"), "mdy"),
        (re.compile(rf"(?<!\d)(?P<y>(?:19|20)\d\d)[ ./-](?P<mon>{months})[ ./-]{day}(?!\d)"), "ymd"),
        (re.compile(r"(?<![\d.,/-])(?P<y>(?:19|20)\d\d)(?P<m>0[1-9]|1[0-2])(?P<d>0[1-9]|[12]\d|3[01])(?!\d|[.,/-]\d(?!\d{5}(?!\d)))"), "ymd"),
    )  # fmt: skip


def find_dates(text: str) -> list[DateMention]:
    """All dates in ``text``, left to right, without overlaps."""
    plain = _same_length(text)
    found: list[DateMention] = []
    for pattern, order in _patterns():
        for match in pattern.finditer(plain):
            if any(match.start() < other.end and other.start < match.end() for other in found):
                continue
            readings = tuple(dict.fromkeys(_readings(match, order)))
            if readings:
                found.append(DateMention(match.start(), match.end(), readings))
    return sorted(found, key=lambda mention: mention.start)


def names_a_day(text: str) -> bool:
    """Whether ``text`` has a date with its month in words, as no number of anything has."""
    return any(
        any(char.isspace() for char in text[found.start : found.end])
        and any(char.isalpha() for char in text[found.start : found.end])
        for found in find_dates(text)
    )


def customary_order(text: str) -> Order | None:
    """The order that dates have where the taxes and company forms in ``text`` are used."""
    return Order.DAY_FIRST if _DAY_FIRST_PLACES.search(text) else None


def parse_date(raw: str) -> DateMention | None:
    """``raw`` as one date, or ``None`` if it holds no date or more than one."""
    found = find_dates(raw)
    if not found:
        found = find_dates(raw.replace(" ", ""))
    return found[0] if len(found) == 1 else None


def document_order(texts: Iterable[str]) -> Order | None:
    """The order of day and month that the document's unambiguous dates agree on."""
    votes: dict[Order, int] = {}
    for mention in (mention for text in texts for mention in find_dates(text)):
        if not mention.ambiguous:
            orders = {order for order, _ in mention.readings}
            if len(orders) == 1:
                order = orders.pop()
                votes[order] = votes.get(order, 0) + 1
    day, month = votes.get(Order.DAY_FIRST, 0), votes.get(Order.MONTH_FIRST, 0)
    if day and not month:
        return Order.DAY_FIRST
    if month and not day:
        return Order.MONTH_FIRST
    return None


def _readings(match: re.Match[str], order: str) -> Iterator[tuple[Order, date]]:
    groups = match.groupdict()
    year = _year(groups["y"])
    if groups.get("mon"):
        # A month's name tells nothing about how the document's numeric dates are ordered.
        day = _day(year, _months()[groups["mon"]], int(groups["d"]))
        if day:
            yield Order.YEAR_FIRST, day
        return
    if order == "ymd":
        day = _day(year, int(groups["m"]), int(groups["d"]))
        if day:
            yield Order.YEAR_FIRST, day
        return
    one, two = int(groups["a"]), int(groups["b"])
    # Points are only ever used day first.
    month_first = None if "." in match.group() else _day(year, one, two)
    for known, day in ((Order.DAY_FIRST, _day(year, two, one)), (Order.MONTH_FIRST, month_first)):
        if day:
            yield known, day
    if len(groups["y"]) == 2 and one > 12:
        # "18-04-28" may be a year first; kept as a further reading only where it makes a date.
        day = _day(_year(groups["a"]), two, int(groups["y"]))
        if day and not _day(year, two, one):
            yield Order.YEAR_FIRST, day


def _year(digits: str) -> int:
    number = int(digits.lstrip("'"))
    if number >= 100:
        return number
    return 2000 + number if number < 70 else 1900 + number


def _day(year: int, month: int, day: int) -> date | None:
    if not 1900 <= year <= 2100:
        return None
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _same_length(text: str) -> str:
    """Lower case, full-width digits and accents folded, one character for each character."""
    if text.isascii():
        return re.sub(r"\s", " ", text).lower()
    return "".join(map(_same_length_char, text))


@lru_cache(maxsize=4096)
def _same_length_char(char: str) -> str:
    if char.isspace():
        return " "
    if char in "‐‑‒–—−﹣-":
        return "-"
    folded = "".join(
        part
        for part in unicodedata.normalize("NFKD", char).casefold()
        if not unicodedata.combining(part)
    )
    return folded if len(folded) == 1 else char
