"""Names of people and companies where the layout says whose they are.

Responsible for reading "Seller: Acme Ltd", the lines below a heading "Bill to" and the name row of
a form's section, also where a name takes two lines; not for choosing among several.  Invariant: a
name is made of printed lines to their end, never of one that is a number, an address or a label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from hivekeep.domain.fields import FieldSpec, FieldType
from hivekeep.swarm.verification.addresses import is_address, is_contact, is_town
from hivekeep.swarm.verification.labels import Label
from hivekeep.swarm.verification.layout import Layout, Line, Span, is_near
from hivekeep.swarm.verification.legal_forms import has_legal_form, stated_forms, without_address
from hivekeep.swarm.verification.letterhead import Letterhead
from hivekeep.swarm.verification.masthead import Masthead
from hivekeep.swarm.verification.text import fold, squeeze

IN_LINE, BELOW_HEADING, LETTERHEAD, LIKELY = 3.0, 2.5, 2.0, 1.5
_SENDER_WORDS = ("seller", "supplier", "Absender", "émetteur", "shop", "merchant")
_RECEIVER_WORDS = ("buyer", "customer", "Empfänger", "destinataire")
_HEADING_SHARE = 0.55
_REACH = 7
# A name that wraps continues on the next line of the same paragraph; the next entry of a form is
# further away than that.
_TIGHT = 1.45
_NAME_LABELS = frozenset(map(squeeze, (
    "name", "firma", "firmenname", "company", "company name", "nom", "raison sociale", "naam",
    "nombre", "razón social", "nome", "ragione sociale", "名称", "公司名称", "单位名称",
)))  # fmt: skip
_OF_COMPANIES = frozenset(map(squeeze, ("Firma", "Fa.", "Messrs")))
_SALUTATIONS = _OF_COMPANIES | frozenset(map(squeeze, (
    "Herr", "Herrn", "Frau", "Mr", "Mrs", "Ms", "Monsieur", "Madame",
    "M.", "Mme", "De heer", "Mevrouw", "Señor", "Señora", "Signor", "Signora",
)))  # fmt: skip


@dataclass(frozen=True, slots=True)
class NameMention:
    """A labelled name: its text, the lines it is printed on, and which fields' label it is."""

    value: str
    spans: tuple[Span, ...]
    owners: frozenset[str]
    score: float


class Parties:
    """Finds the labelled names of one document."""

    def __init__(
        self, layout: Layout, labels: Callable[[str], Sequence[Label]], fields: Sequence[FieldSpec]
    ) -> None:
        self._layout = layout
        self._labels = labels
        self._names = frozenset(spec.name for spec in fields if spec.type is FieldType.NAME)

    def mentions(self) -> tuple[NameMention, ...]:
        """Every labelled name, in reading order."""
        found: list[NameMention] = []
        for line in self._layout.lines:
            labels = self._party_labels(line.text)
            if labels and all(label.owners == labels[0].owners for label in labels):
                found.extend(self._beside(line, labels))
        found += self._from_letterhead({n for m in found for n in m.owners})
        return tuple(map(self._without_stated_form, found))

    def _without_stated_form(self, name: NameMention) -> NameMention:
        """A French company's name without the legal form that its letter states by itself."""
        last = name.spans[-1]
        head, _, end = self._layout.lines[last.line].text[last.start : last.end].rpartition(" ")
        if not head.strip() or squeeze(end) not in self._stated_forms:
            return name
        spans = (*name.spans[:-1], Span(last.line, last.start, last.start + len(head.rstrip())))
        return NameMention(self._layout.text(spans), spans, name.owners, name.score)

    @cached_property
    def _stated_forms(self) -> frozenset[str]:
        return stated_forms(line.text for line in self._layout.lines)

    def _from_letterhead(self, known: set[str]) -> Iterator[NameMention]:
        """Sender and addressee of a letter, for parties that no label names."""
        senders = self.senders - known
        receivers = self._owners(_RECEIVER_WORDS) - known
        letterhead = Letterhead(self._layout, self.could_be)
        sender = letterhead.sender()
        if sender is None and senders and len(self._names) == 1:
            # Only where no other party is asked for, or the name on top might be that one's.
            issuer = self._masthead.issuer()
            if issuer:
                yield NameMention(self._layout.text(issuer), issuer, senders, LETTERHEAD)
        if sender is not None and senders:
            _, span = sender
            yield NameMention(self._layout.text((span,)), (span,), senders, LETTERHEAD)
        if not receivers:
            return
        window = letterhead.addressee(sender[0]) if sender is not None else None
        spans = (window,) if window is not None else self._greeted()
        if spans:
            yield NameMention(self._layout.text(spans), spans, receivers, LETTERHEAD)

    def _greeted(self) -> tuple[Span, ...]:
        """The name below the only salutation over an address, as on an envelope."""
        found: list[tuple[Span, ...]] = []
        for line in self._layout.by_page.get(1, []):
            word = squeeze(line.text)
            if word not in _SALUTATIONS:
                continue
            below = self._layout.below(line, reach=_REACH)
            if not below or not self.could_be(below[0].text):
                continue
            if any(is_town(other.text) for other in below[1:]):
                # "Herrn" is taken for a part of somebody's name, "Firma" is none of a company's.
                lines = below[:1] if word in _OF_COMPANIES else [line, below[0]]
                found.append(tuple(Span(one.index, 0, len(one.text)) for one in lines))
        return found[0] if len(found) == 1 else ()

    @property
    def senders(self) -> frozenset[str]:
        """The fields that ask for who sent the document."""
        return self._owners(_SENDER_WORDS)

    def is_brand(self, span: Span) -> bool:
        """Whether a name in a receipt's head is perhaps only what the shop is called."""
        return len(self._names) == 1 and self._masthead.is_brand(span.line)

    @cached_property
    def _masthead(self) -> Masthead:
        return Masthead(self._layout, self._could_head)

    def is_addressed(self, span: Span) -> bool:
        """Whether the line above a name in its column is a salutation, as on an envelope."""
        above = next(iter(self._layout.above(self._layout.lines[span.line], reach=1)), None)
        return above is not None and squeeze(above.text) in _SALUTATIONS

    def _owners(self, words: Sequence[str]) -> frozenset[str]:
        return frozenset(
            name
            for word in words
            for label in self._labels(word)
            for name in label.owners & self._names
        )

    def could_be(self, text: str) -> bool:
        """Whether a line of text can be a name at all."""
        letters = sum(char.isalpha() for char in text)
        digits = sum(char.isdigit() for char in text)
        if letters < 2 or digits > letters or len(text) > 90:
            return False
        if is_contact(text) or (is_address(text) and not has_legal_form(text)):
            return False
        labels = self._labels(text)
        covered = sum(c.isalpha() for label in labels for c in text[label.start : label.end])
        if any(label.start == 0 and ":" in text[label.end : label.end + 3] for label in labels):
            return False
        return has_legal_form(text) or (covered < 0.6 * letters and not (labels and digits))

    def _could_head(self, text: str) -> bool:
        """Whether a line may be a receipt's issuer; "Best Restaurant" is no label of one."""
        labels = self._labels(text)
        kind = (
            bool(labels) and labels[0].start > 0 and all(la.owners & self._names for la in labels)
        )
        return self.could_be(text[: labels[0].start] if kind else text)

    def _party_labels(self, text: str) -> list[Label]:
        """The labels of a party that ``text`` begins with; "Supplier Ltd" is itself a name."""
        every = self._labels(text)
        labels = [label for label in every if label.owners & self._names]
        if not labels or text[: labels[0].start].strip(" *•-"):
            return []
        if any(not label.owners and label.start < labels[-1].end + 2 for label in every):
            return []
        if ":" not in text and has_legal_form(text):
            return []
        return labels

    def _beside(self, line: Line, labels: Sequence[Label]) -> Iterator[NameMention]:
        owners = labels[0].owners & self._names
        after = line.text[labels[-1].end :]
        rest = after.lstrip(" :.-\t")
        if rest and ":" in after[: len(after) - len(rest)]:
            start = len(line.text) - len(rest)
            name = without_address(rest.rstrip())
            if self.could_be(name):
                span = Span(line.index, start, start + len(name))
                yield NameMention(name, (span,), owners, IN_LINE)
            return
        letters = sum(char.isalpha() for char in line.text)
        covered = sum(c.isalpha() for label in labels for c in line.text[label.start : label.end])
        if covered < _HEADING_SHARE * letters:
            return
        right = self._layout.right_of(line)
        if right is not None and not self._labels(right.text) and line.text.rstrip().endswith(":"):
            if self.could_be(right.text.lstrip(" :")):
                yield self._named([right], owners, IN_LINE)
            return
        below = self._below_heading(line)
        if below:
            sure = has_legal_form(below[-1].text) or self._over_address(below[-1])
            yield self._named(below, owners, BELOW_HEADING if sure else LIKELY)

    def _below_heading(self, heading: Line) -> list[Line]:
        """The name's lines in the section below ``heading``; empty if it has none."""
        column = self._layout.below(heading, reach=_REACH)
        for at, line in enumerate(column):
            if squeeze(line.text) in _NAME_LABELS:
                right = self._layout.right_of(line)
                return self._paragraph(right) if right is not None else []
            text = line.text.lstrip(" :")
            if self._party_labels(text):
                return []
            if self.could_be(text) and not self._is_form_label(line):
                return self._joined(column[at : at + 2])
            if is_address(text) and not self._labels(text):
                return []
        return []

    def _over_address(self, line: Line) -> bool:
        """Whether an address follows, as it does below a party and hardly below anything else."""
        return any(
            is_address(other.text.lstrip(" :")) for other in self._layout.below(line, reach=4)
        )

    def _is_form_label(self, line: Line) -> bool:
        """Whether the line only announces what stands to its right, as "Number:" does."""
        right = self._layout.right_of(line)
        announced = right is not None and right.text.lstrip().startswith(":")
        return line.text.rstrip().endswith(":") or announced

    def _paragraph(self, line: Line) -> list[Line]:
        """``line`` with the lines directly above and below it that have no label beside them."""
        lines = [line]
        for step in (-1, 1):
            other = self._neighbour(line, step)
            while other is not None and not self._cells_left(other) and self.could_be(other.text):
                lines.insert(0 if step < 0 else len(lines), other)
                other = self._neighbour(other, step)
        return lines

    def _joined(self, lines: list[Line]) -> list[Line]:
        """A name that continues on the second line, or only its first line."""
        first, *more = lines
        if not more or not _is_tight(first, more[0]) or not self.could_be(more[0].text):
            return [first]
        text, following = first.text.rstrip(), more[0].text
        wraps = text.endswith(("&", "-", "/", " und", " and", " et"))
        if squeeze(text) in _SALUTATIONS or wraps:
            return lines
        if has_legal_form(following) and not has_legal_form(text) and not _same(text, following):
            return lines
        return [first]

    def _named(self, lines: list[Line], owners: frozenset[str], score: float) -> NameMention:
        spans = []
        for line in lines:
            start = len(line.text) - len(line.text.lstrip(" :"))
            spans.append(Span(line.index, start, len(line.text)))
        value = self._layout.text(tuple(spans))
        return NameMention(value, tuple(spans), owners, score)

    def _cells_left(self, line: Line) -> list[Line]:
        return list(self._layout.left_of(line))

    def _neighbour(self, line: Line, step: int) -> Line | None:
        """The next line of the same column, if no more than a line's distance away."""
        if line.box is None:
            return None
        near = [
            other for other in self._same_page(line)
            if other.box is not None and abs(other.box.x0 - line.box.x0) < 0.01
            and (other.box.y0 - line.box.y0) * step > 0 and _is_tight(line, other)
        ]  # fmt: skip
        return near[0] if near else None

    def _same_page(self, line: Line) -> list[Line]:
        if line.box is None:
            return [other for other in self._layout.lines if other.row == line.row]
        return self._layout.by_page[line.page]


def _is_tight(one: Line, two: Line) -> bool:
    if one.box is None or two.box is None:
        return one.page == two.page and abs(one.row - two.row) == 1
    return is_near(one.box, two.box, _TIGHT)


def _same(one: str, two: str) -> bool:
    left, right = fold(one), fold(two)
    return left in right or right in left
