"""Currencies as they are printed: codes, symbols and names, read as ISO 4217 codes.

Responsible for finding mentions of currencies in text; a symbol that several countries use has
several readings, and the document's other words decide.  Invariant: every reading is a code that
Unicode CLDR knows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

LANGUAGES = ("en", "de", "fr", "nl", "es", "it", "pt", "pl", "zh", "ja")

# Symbols whose reading depends on the country; the first is taken when nothing else speaks.
_AMBIGUOUS = {
    "$": ("USD", "AUD", "CAD", "SGD", "HKD", "NZD", "MXN"),
    "¥": ("CNY", "JPY"),
    "￥": ("CNY", "JPY"),
    "£": ("GBP",),
    "kr": ("SEK", "NOK", "DKK"),
    "kr.": ("DKK", "SEK", "NOK"),
    "Rs": ("INR", "PKR", "LKR"),
    "Rs.": ("INR", "PKR", "LKR"),
}
_ALSO_PRINTED = {
    "RM": "MYR", "US$": "USD", "A$": "AUD", "C$": "CAD", "S$": "SGD", "HK$": "HKD", "NT$": "TWD",
    "R$": "BRL", "Fr.": "CHF", "SFr.": "CHF", "sFr": "CHF", "元": "CNY", "圆": "CNY",
    "人民币": "CNY",
    "RMB": "CNY", "円": "JPY", "港币": "HKD", "港元": "HKD", "美元": "USD", "欧元": "EUR",
    "€": "EUR",
    "₹": "INR", "₩": "KRW", "₽": "RUB", "₺": "TRY", "₫": "VND", "฿": "THB", "₱": "PHP", "₴": "UAH",
    "₪": "ILS", "zł": "PLN", "zl": "PLN", "Kč": "CZK", "Ft": "HUF", "lei": "RON", "Rp": "IDR",
    "Dirhams": "AED", "Dhs": "AED", "Euro": "EUR", "Euros": "EUR", "Ringgit": "MYR",
    "DM": "DEM",
}  # fmt: skip

# A country named in the document settles what an ambiguous symbol means.
_COUNTRY_WORDS = {
    "USD": ("usa", "united states", "inc.", "llc"),
    "AUD": ("australia", "abn", "pty"),
    "CAD": ("canada", "ontario", "québec", "hst", "gst/hst"),
    "SGD": ("singapore", "pte"),
    "HKD": ("hong kong", "hongkong", "香港"),
    "NZD": ("new zealand",),
    "MXN": ("méxico", "mexico", "rfc"),
    "CNY": ("china", "中国", "发票", "有限公司", "增值税", "元"),
    "JPY": ("japan", "日本", "株式会社", "円", "消費税", "請求書"),
    "SEK": ("sverige", "sweden", "moms", "faktura"),
    "NOK": ("norge", "norway", "mva"),
    "DKK": ("danmark", "denmark", "cvr"),
    "INR": ("india", "gstin"),
    "PKR": ("pakistan",),
    "LKR": ("sri lanka",),
}


@dataclass(frozen=True, slots=True)
class CurrencyMention:
    """Characters ``start`` to ``end`` and the ISO codes they may mean, most likely first."""

    start: int
    end: int
    codes: tuple[str, ...]


@lru_cache(maxsize=1)
def known_codes() -> frozenset[str]:
    """Every ISO 4217 code, past ones too, except those that stand for no currency."""
    from babel.numbers import list_currencies  # an idle daemon needs no locales

    return frozenset(list_currencies()) - {"XXX", "XTS"}


@lru_cache(maxsize=1)
def _symbols() -> dict[str, tuple[str, ...]]:
    table: dict[str, tuple[str, ...]] = {key: (code,) for key, code in _ALSO_PRINTED.items()}
    table.update(_AMBIGUOUS)
    return table


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    """Currency names in the languages we read, folded, for a model that spells one out."""
    from babel import Locale

    table: dict[str, str] = {}
    for language in LANGUAGES:
        for code, name in Locale(language).currencies.items():
            table.setdefault(str(name).casefold(), str(code))
    return table


@lru_cache(maxsize=1)
def _pattern() -> re.Pattern[str]:
    symbols = sorted(_symbols(), key=len, reverse=True)
    worded = "|".join(re.escape(s) for s in symbols if s.isascii() and s[0].isalpha())
    marked = "|".join(re.escape(s) for s in symbols if not (s.isascii() and s[0].isalpha()))
    codes = "[A-Z]{3}"
    return re.compile(
        # "Mo.-Fr. 8-18" names weekdays, not Swiss francs.
        rf"(?P<symbol>{marked})|(?<![A-Za-z])(?<![\w.][-–])(?P<word>{worded})(?![A-Za-z])"
        rf"|(?<![A-Za-z])(?P<code>{codes})(?![A-Za-z])"
    )


def find_currencies(text: str) -> list[CurrencyMention]:
    """All mentions of a currency in ``text``, left to right."""
    found: list[CurrencyMention] = []
    for match in _pattern().finditer(text):
        token = match.group()
        codes = _symbols().get(token)
        if codes is None and token in known_codes() and not _is_legal_form(text, match):
            codes = (token,)
        if codes:
            found.append(CurrencyMention(match.start(), match.end(), codes))
    return found


def _is_legal_form(text: str, match: re.Match[str]) -> bool:
    """Whether a code is a company's form: "Sdn. Bhd." is Malay, not the dinar of Bahrain."""
    if match.group() != "BHD":
        return False
    before, after = text[: match.start()].rstrip(), text[match.end() :].lstrip()
    return not (before[-1:].isdigit() or after[:1].isdigit())


def parse_currency(raw: str) -> tuple[str, ...]:
    """The codes that ``raw``, a code, a symbol or a name, may mean; empty if none."""
    token = raw.strip()
    if token.upper() in known_codes():
        return (token.upper(),)
    if token in _symbols():
        return _symbols()[token]
    upper = {key.upper(): codes for key, codes in _symbols().items()}
    if token.upper() in upper:
        return upper[token.upper()]
    named = _names().get(token.casefold())
    if named:
        return (named,)
    inside = find_currencies(token)
    return inside[0].codes if len({mention.codes for mention in inside}) == 1 else ()


def settle(codes: tuple[str, ...], document_text: str, codes_present: frozenset[str]) -> str | None:
    """Decide between readings: a code printed elsewhere, then a country's words.

    ``None`` if the symbol stays ambiguous.
    """
    if len(codes) == 1:
        return codes[0]
    printed = [code for code in codes if code in codes_present]
    if len(printed) == 1:
        return printed[0]
    lowered = document_text.casefold()
    scores = {
        code: sum(_has_word(lowered, word) for word in _COUNTRY_WORDS.get(code, ()))
        for code in codes
    }
    best = max(codes, key=lambda code: scores[code])
    if scores[best] and sum(score == scores[best] for score in scores.values()) == 1:
        return best
    return None


def _has_word(text: str, word: str) -> bool:
    if not word.isascii():
        return word in text
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) is not None
