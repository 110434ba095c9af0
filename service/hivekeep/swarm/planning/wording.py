"""What a free request says in so many words: comparisons, sums, a summary, folders.

Responsible for recognising the common shapes of requests in English, German, French and Chinese,
without a model; it serves to check a model's plan, and to make one where the model fails.
Invariant: what is not recognised is never invented.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from hivekeep.domain.tasks import Comparison, Take
from hivekeep.swarm.verification.amounts import find_amounts
from hivekeep.swarm.verification.currencies import find_currencies

_COMPARISONS: tuple[tuple[Comparison, str], ...] = (
    (Comparison.AT_LEAST, r"at least|no less than|mindestens|au moins|不低于|至少"),
    (Comparison.AT_MOST, r"at most|no more than|up to|höchstens|bis zu|au plus|不超过|最多"),
    (Comparison.OVER, r"over|above|more than|greater than|larger than|exceed(?:s|ing)?|"
     r"über|mehr als|größer als|plus de|supérieure?s? à|au-dessus de|超过|大于|高于"),
    (Comparison.UNDER, r"under|below|less than|smaller than|cheaper than|unter|weniger als|"
     r"kleiner als|moins de|inférieure?s? à|低于|小于|少于"),
)  # fmt: skip
# Chinese has no spaces between words, so only a Latin letter before a word makes it another one.
_START = r"(?<![A-Za-z\u00c0-\u024f])"
_NUMBER = r"(?P<number>(?:[$€£¥]|[A-Z]{3})?\s?[0-9][0-9.,' ]*)(?P<after>\s?(?:%|[a-zäöü]+)?)"
_TIME = re.compile(
    r"(?i)^\s?(?:days?|weeks?|months?|years?|pages?|tagen?|wochen?|monaten?|jahren?|seiten?|jours?|"
    r"mois|ans?|pages?|sentences?|words?|sätzen?|wörtern?)\b"
)
_TAKES: tuple[tuple[Take, str], ...] = (
    (Take.SUM, r"add(?:s)? up|sum of|sum up to|in total|total of all|altogether|zusammen|summe|"
     r"insgesamt|somme|au total|合计|总和|总共|一共"),
    (Take.AVERAGE, r"average|mean of|durchschnitt|im schnitt|moyenne|平均"),
    (Take.MAX, r"largest|biggest|highest|most expensive|größte|höchste|teuerste|plus (?:grande?|"
     r"élevée?|chère?)|最大|最高|最贵"),
    (Take.MIN, r"smallest|lowest|cheapest|kleinste|niedrigste|günstigste|billigste|moins (?:"
     r"élevée?|chère?)|最小|最低|最便宜"),
    (Take.COUNT, r"how many|wie viele|combien de|多少(?:个|份|张)"),
)  # fmt: skip
_SUMMARY = re.compile(
    r"(?i)\b(?:summar(?:y|ies|i[sz]e)|overview|gist|on one page|in one page|zusammenfass\w*|"
    r"fass\w* .{0,40}zusammen|überblick|résum\w*|synthèse)|总结|摘要|概括|综述"
)
_FOLDERS = re.compile(
    r"(?i)\b(?:into|in) (?:\w+ )?folders?\b|\bfile (?:these|them|all) away|\bsort (?:these|them|"
    r"the \w+|all \w+) into|\bin (?:\w+ )?ordner\b|\bdans des dossiers|文件夹|归档"
)


@dataclass(frozen=True, slots=True)
class Wording:
    """What a request asks for in words that are known."""

    comparisons: tuple[tuple[Comparison, Decimal], ...] = ()
    takes: tuple[Take, ...] = ()
    summary: bool = False
    folders: bool = False

    @property
    def recognised(self) -> bool:
        """Whether there is anything to go on."""
        return bool(self.comparisons or self.takes or self.summary or self.folders)


def wording(request: str) -> Wording:
    """What ``request`` says."""
    text = " ".join(request.split())
    return Wording(
        comparisons=tuple(_comparisons(text)),
        takes=tuple(take for take, words in _TAKES if _says(words, text)),
        summary=bool(_SUMMARY.search(text)),
        folders=bool(_FOLDERS.search(text)),
    )


def currency_named(request: str) -> str:
    """The ISO 4217 code of the one currency that ``request`` names, or an empty string."""
    found = {code for mention in find_currencies(request) for code in mention.codes}
    return found.pop() if len(found) == 1 else ""


def _says(words: str, text: str) -> bool:
    return re.search(rf"(?i){_START}(?:{words})", text) is not None


def _comparisons(text: str) -> list[tuple[Comparison, Decimal]]:
    found: dict[Decimal, Comparison] = {}
    for kind, words in _COMPARISONS:
        for match in re.finditer(rf"(?i){_START}(?:{words})\s*{_NUMBER}", text):
            if _TIME.match(match["after"]):
                # 'more than 30 days' compares no amounts.
                continue
            if amounts := find_amounts(match["number"]):
                # Who says '1.000' or '1,000' in a request means a thousand.
                found.setdefault(max(amounts[0].values), kind)
    return [(kind, number) for number, kind in found.items()]
