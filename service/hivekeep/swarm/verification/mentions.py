"""Everything in a document that could be the value of some field, and what labels it.

Responsible for reading dates, amounts, currencies and identifiers once per document, each with the
label that ``associations`` finds for it; not for choosing.  Invariant: a mention's span is where
its value is printed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property

from hivekeep.domain.documents import Document
from hivekeep.domain.fields import FieldSpec, FieldType, Plan
from hivekeep.domain.values import Scalar
from hivekeep.swarm.verification.addresses import begins_with_post_code, goes_on_with_town
from hivekeep.swarm.verification.amounts import (
    AmountMention,
    Style,
    canonical,
    document_style,
    find_amounts,
)
from hivekeep.swarm.verification.associations import (
    ABOVE,
    HEADING_SHARE,
    LEFT_CELL,
    NUMBERED,
    SAME_LINE,
    Association,
    Associations,
)
from hivekeep.swarm.verification.currencies import find_currencies, settle
from hivekeep.swarm.verification.dates import (
    DateMention,
    Order,
    customary_order,
    document_order,
    find_dates,
)
from hivekeep.swarm.verification.labels import Vocabulary
from hivekeep.swarm.verification.layout import Layout, Line, Span
from hivekeep.swarm.verification.legal_forms import is_legal_form
from hivekeep.swarm.verification.parties import NameMention, Parties

_IDENTIFIER = re.compile(
    r"(?<![\w])#?[A-Za-z0-9](?:[A-Za-z0-9]|[-/._](?=[A-Za-z0-9])){1,38}(?![\w])"
)
_MONTH_FIRST = frozenset({"USD"})
_MOST_PLACES = 5
_NUMBER_WORD = re.compile(
    r"(?:\bnr|\bno|\bnum|\bnumber|\bnummer|n[°º]|№|#|号码?)\s*[.:]?\s*$", re.IGNORECASE
)
_PRICE = re.compile(r"\d+\.\d\d")
_YEAR = re.compile(r"(?:19|20)\d\d")
_LEAST_LETTERS = 2
_NUMBERS = frozenset({
    "customer number", "tax number", "register number", "order number", "reference", "bank",
    "delivery note", "contract number", "article", "phone", "post code", "document code",
})  # fmt: skip
_DAYS = frozenset({"delivery date", "order date", "due date", "other date", "earlier invoice"})
_SUMS = frozenset({"net", "tax", "paid"})


@dataclass(frozen=True, slots=True)
class Mention:
    """A value as printed at ``span``, in normal form, with its label."""

    value: Scalar
    span: Span
    label: Association


class Context:
    """One document seen with one plan's labels; everything is computed when first needed."""

    def __init__(self, plan: Plan, document: Document) -> None:
        self.plan = plan
        self.layout = Layout(document)
        self._vocabulary = Vocabulary(
            [spec for spec in plan.fields if spec.type is not FieldType.ROWS]
        )
        self._associations = Associations(self.layout, self._vocabulary)

    def mentions(self, kind: FieldType) -> tuple[Mention, ...]:
        """All values of a type; empty for types whose values cannot be told from other words."""
        match kind:
            case FieldType.DATE:
                return self._dates
            case FieldType.AMOUNT:
                return self._money
            case FieldType.NUMBER | FieldType.INTEGER:
                return self._numbers
            case FieldType.IDENTIFIER:
                return self._identifiers
            case _:
                return ()

    def candidates(self, spec: FieldSpec) -> dict[Scalar, float]:
        """Every value that a label of ``spec`` points at, with the best score, best first."""
        scores: dict[Scalar, float] = {}
        if spec.type is FieldType.NAME:
            for name in self.names:
                if spec.name in name.owners:
                    scores[name.value] = max(scores.get(name.value, 0.0), name.score)
        if spec.type is FieldType.DATE and spec.required:
            scores.update(self._only_day(spec))
        if spec.type is FieldType.CURRENCY:
            scores.update(self._stated_currency(spec))
        for mention in self.mentions(spec.type):
            score = mention.label.score(spec.name)
            if score > 0:
                scores[mention.value] = max(scores.get(mention.value, 0.0), score)
        return dict(sorted(scores.items(), key=lambda item: -item[1]))

    def places(self, spec: FieldSpec, value: Scalar) -> tuple[tuple[Span, ...], ...]:
        """Where a candidate of ``spec`` is printed."""
        if spec.type is FieldType.NAME:
            return tuple(
                name.spans
                for name in self.names
                if name.value == value and spec.name in name.owners
            )
        if spec.type is FieldType.CURRENCY:
            return tuple((span,) for code, span in self._currencies if code == value)[:_MOST_PLACES]
        return tuple((m.span,) for m in self.mentions(spec.type) if m.value == value)

    def surest(self, spec: FieldSpec) -> Scalar:
        """The value beside the longest of the field's strongest labels; ``None`` if several."""
        ranks = {
            (m.label.score(spec.name), m.label.weight, str(m.value))
            for m in self.mentions(spec.type)
            if m.label.score(spec.name) > 0
        }
        best = sorted(ranks)[-2:]
        if not best or (len(best) == 2 and best[0][:2] == best[1][:2]):
            return None
        return best[-1][2]

    @cached_property
    def paid(self) -> frozenset[Decimal]:
        """The amounts of payments, change and rounding, as their labels say."""
        totals = frozenset(spec.name for spec in self.plan.fields if spec.type is FieldType.AMOUNT)
        return frozenset(
            Decimal(str(m.value))
            for m in self.mentions(FieldType.AMOUNT)
            if m.label.other == "paid" or (m.label.owners and not m.label.owners & totals)
        )

    def _only_day(self, spec: FieldSpec) -> dict[Scalar, float]:
        """The one day that a document names, if nothing says that it is another kind of day."""
        dates = self.mentions(FieldType.DATE)
        days = {field.name for field in self.plan.fields if field.type is FieldType.DATE}
        others = [
            m.label.other in _DAYS
            or (bool(m.label.owners & days) and m.label.score(spec.name) <= -LEFT_CELL)
            for m in dates
        ]
        if len({m.value for m in dates}) != 1 or all(others):
            return {}
        return {dates[0].value: ABOVE}

    def _stated_currency(self, spec: FieldSpec) -> dict[Scalar, float]:
        """The currency beside its label, else the only one that the document prints."""
        labelled = {
            code
            for code, span in self._currencies
            if self.label_at(span).score(spec.name) >= LEFT_CELL
            and self._is_whole_label(self.layout.lines[span.line], span.start)
        }
        if len(labelled) == 1:
            return {labelled.pop(): SAME_LINE}
        # Three capital letters may be anything; beside an amount they are its currency.
        printed = {code for code, span in self._currencies if self._beside_amount(span)}
        printed = printed or set(self._currency_codes)
        return {printed.pop(): ABOVE} if len(printed) == 1 and not labelled else {}

    def _beside_amount(self, span: Span) -> bool:
        text = self.layout.lines[span.line].text
        before, after = text[: span.start].rstrip(), text[span.end :].lstrip()
        return before[-1:].isdigit() or after[:1].isdigit()

    def _is_whole_label(self, line: Line, start: int) -> bool:
        """Whether the words left of a value are its label alone, not "currency of the tax"."""
        text = line.text[:start].strip(" :")
        if not text:
            cell = next(iter(self.layout.left_of(line)), None)
            text = cell.text if cell else ""
        labels = self._vocabulary.labels(text)
        covered = sum(label.end - label.start for label in labels)
        return covered >= HEADING_SHARE * len(text.strip(" :"))

    @cached_property
    def names(self) -> tuple[NameMention, ...]:
        """The names that stand beside or below a label of a party."""
        return self._parties.mentions()

    def is_addressee(self, spec: FieldSpec, span: Span) -> bool:
        """Whether a name stands below "Messrs" or the like though ``spec`` asks for the sender."""
        return spec.name in self._parties.senders and self._parties.is_addressed(span)

    def is_brand(self, spec: FieldSpec, span: Span) -> bool:
        """Whether ``spec`` asks for the issuer and another name in the head may be that."""
        return spec.name in self._parties.senders and self._parties.is_brand(span)

    @cached_property
    def _parties(self) -> Parties:
        return Parties(self.layout, self._vocabulary.labels, self.plan.fields)

    @cached_property
    def order(self) -> Order | None:
        """How numeric dates are read: by clear dates, the currency, the country's customs."""
        clear = document_order(line.text for line in self.layout.lines)
        if clear is not None:
            return clear
        if self.currency is None:
            return customary_order(self._text)
        return Order.MONTH_FIRST if self.currency in _MONTH_FIRST else Order.DAY_FIRST

    @cached_property
    def style(self) -> Style | None:
        """Which mark separates decimals in this document."""
        return document_style(line.text for line in self.layout.lines)

    @cached_property
    def currency(self) -> str | None:
        """The currency most amounts are printed with, if that can be told."""
        votes: Counter[str] = Counter()
        for code in self._currency_codes:
            votes[code] += 1
        if not votes:
            return None
        (best, count), *rest = votes.most_common()
        return best if not rest or count > rest[0][1] else None

    @property
    def prints_currency(self) -> bool:
        """Whether the document names any currency."""
        return bool(self._currencies)

    def settle_currency(self, codes: tuple[str, ...]) -> str | None:
        """One code out of a symbol's possible ones, by what else the document says."""
        return settle(codes, self._text, self._printed_codes)

    @cached_property
    def _text(self) -> str:
        return "\n".join(line.text for line in self.layout.lines)

    @cached_property
    def _printed_codes(self) -> frozenset[str]:
        return frozenset(
            mention.codes[0]
            for line in self.layout.lines
            for mention in find_currencies(line.text)
            if len(mention.codes) == 1
        )

    @cached_property
    def _currency_codes(self) -> list[str]:
        return [code for code, _ in self._currencies]

    @cached_property
    def _currencies(self) -> list[tuple[str, Span]]:
        found = []
        for line in self.layout.lines:
            for mention in find_currencies(line.text):
                code = self.settle_currency(mention.codes)
                if code:
                    found.append((code, Span(line.index, mention.start, mention.end)))
        return found

    @cached_property
    def _dates(self) -> tuple[Mention, ...]:
        return tuple(
            Mention(day.isoformat(), span, self._associations.of_date(line, span.start))
            for line, span, mention in self._found_dates()
            if (day := mention.resolve(self.order)) is not None
        )

    def _found_dates(self) -> Iterator[tuple[Line, Span, DateMention]]:
        for line in self.layout.lines:
            for mention in find_dates(line.text):
                yield line, Span(line.index, mention.start, mention.end), mention

    @cached_property
    def _all_amounts(self) -> tuple[tuple[Line, AmountMention], ...]:
        return tuple(
            (line, mention)
            for line in self.layout.lines
            for mention in find_amounts(line.text)
            if not mention.percent
        )

    @cached_property
    def _money(self) -> tuple[Mention, ...]:
        return tuple(
            mention
            for (_, amount), mention in zip(self._readable_amounts, self._numbers, strict=True)
            if amount.money
        )

    @cached_property
    def _readable_amounts(self) -> tuple[tuple[Line, AmountMention], ...]:
        return tuple(
            (line, amount)
            for line, amount in self._all_amounts
            if amount.resolve(self.style) is not None
        )

    @cached_property
    def _numbers(self) -> tuple[Mention, ...]:
        found = []
        for line, amount in self._readable_amounts:
            value = amount.resolve(self.style)
            assert value is not None
            span = Span(line.index, amount.start, amount.end)
            found.append(Mention(canonical(value), span, self._associations.of(line, amount.start)))
        return tuple(found)

    @cached_property
    def _identifiers(self) -> tuple[Mention, ...]:
        found = []
        for line in self.layout.lines:
            taken = [(date.start, date.end) for date in find_dates(line.text)]
            for match in _IDENTIFIER.finditer(line.text):
                start, end = match.span()
                text = match.group().lstrip("#")
                inside = any(one < end and start < two for one, two in taken)
                if inside or not any(char.isdigit() for char in text):
                    continue
                start = end - len(text)
                label = self._associations.of(line, start)
                if (
                    _YEAR.fullmatch(text)
                    or _PRICE.fullmatch(text)
                    or line.text[:start].endswith("(")
                ):
                    label = label.weaker()
                elif label.strength == SAME_LINE and _NUMBER_WORD.search(line.text[:start]):
                    label = replace(label, strength=NUMBERED)
                if label.strength:
                    found.append(Mention(text, Span(line.index, start, end), label))
        return tuple(found)

    def label_at(self, span: Span) -> Association:
        """What labels the value printed at ``span``."""
        return self._associations.of(self.layout.lines[span.line], span.start)

    def names_a_sum(self, cell: object) -> bool:
        """Whether a table's cell is only the label of a total, as "VAT 19%" is."""
        if not isinstance(cell, str):
            return False
        labels = self._vocabulary.labels(cell)
        letters = sum(char.isalpha() for char in cell)
        covered = sum(c.isalpha() for label in labels for c in cell[label.start : label.end])
        amounts = {spec.name for spec in self.plan.fields if spec.type is FieldType.AMOUNT}
        return (
            bool(letters)
            and covered == letters
            and all(label.owners & amounts or label.other in _SUMS for label in labels)
        )

    def not_a_name(self, text: str) -> str:
        """Why ``text`` cannot be the name of a person or company; empty if it can."""
        labels = self._vocabulary.labels(text)
        letters = sum(char.isalpha() for char in text)
        covered = sum(c.isalpha() for label in labels for c in text[label.start : label.end])
        if letters < _LEAST_LETTERS or covered == letters or is_legal_form(text):
            return "it is not a name"
        other = next((label.other for label in labels if label.other in _NUMBERS), "")
        if other and any(char.isdigit() for char in text):
            return f"it is a {other}"
        if "@" in text or begins_with_post_code(text) or sum(c.isdigit() for c in text) > letters:
            return "it is an address or a number"
        if goes_on_with_town(text):
            return "it goes on with an address"
        return ""
