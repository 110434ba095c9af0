"""The issuer that a till receipt prints at its top, without any label.

Responsible for the name above the registration number, address or phone of a receipt's first lines;
not for letters, whose parties ``letterhead`` finds.  Invariant: of several names that could be the
issuer's none is chosen, unless exactly one of them has a company's legal form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cached_property

from hivekeep.swarm.verification.addresses import is_address
from hivekeep.swarm.verification.layout import Layout, Line, Span, is_near
from hivekeep.swarm.verification.legal_forms import has_legal_form, is_legal_form

_HEAD = 0.45
_MOST_LINES = 10
# A stamp or handwriting over the head is read, if at all, with little certainty.
_LEGIBLE = 0.9
# A name in the same type and on the next line is perhaps its beginning.
_TIGHT = 1.5
_WRAPS = ("&", "-", "/", " and", " und", " et")
# "(519537-X)", "249336-T", "Co. Reg. No. 725186-V" at the end of a name's line.
_REGISTRATION = re.compile(
    r"\s*[(\[]?\s*(?:(?:co|company|business|br|roc|reg)\b\.?\s*)*(?:no\b\.?)?\s*[:#]?\s*"
    r"\d{4,}[\d\s-]*[A-Z]?\s*[)\]]?\s*$",
    re.IGNORECASE,
)
_IDENTITY = re.compile(
    r"\b(?:tel|fax|phone|hotline|reg(?:istration)?|gst|vat|sst|tin|siret|siren|ust-?id|uid|abn"
    r"|steuernummer|st\.?-?nr)\b|税号|电话",
    re.IGNORECASE,
)


class Masthead:
    """Reads the first lines of one document's first page.

    :param could_be: whether a line of text can be a name at all.
    """

    def __init__(self, layout: Layout, could_be: Callable[[str], bool]) -> None:
        self._layout = layout
        self._could_be = could_be

    def issuer(self) -> tuple[Span, ...]:
        """The issuer's name, on one or two lines; empty if it is not clear."""
        names = self._names
        formed = [name for name in names if has_legal_form(self._layout.text(name))]
        if len(formed) == 1:
            # "City Milk" over "R&C Venture Ltd" may be a brand or the first half of the name.
            return () if self._continues(names, formed[0]) else formed[0]
        return names[0] if len(names) == 1 else ()

    def is_brand(self, line: int) -> bool:
        """Whether a name on ``line`` stands above another that could as well be the issuer's."""
        return not self.issuer() and any(
            span.line == line for name in self._names[:-1] for span in name
        )

    @cached_property
    def _names(self) -> list[tuple[Span, ...]]:
        return [tuple(group) for group in self._groups(list(self._candidates()))]

    def _candidates(self) -> Iterator[Span]:
        """The lines above the first address, registration or phone number that can be names."""
        found = False
        for line in self._head():
            text = _REGISTRATION.sub("", line.text)
            identity = is_address(line.text) or bool(_IDENTITY.search(text))
            if identity and not has_legal_form(text):
                return
            if self._could_be(text) and text.lstrip()[:1].isalnum():
                found = True
                yield Span(line.index, len(text) - len(text.lstrip()), len(text.rstrip()))
                if len(text) < len(line.text.rstrip()):
                    return
            elif found and sum(char.isdigit() for char in line.text) >= 4:
                return

    def _head(self) -> list[Line]:
        lines = [
            line for line in self._layout.by_page.get(1, [])
            if line.box is not None and line.box.y0 <= _HEAD and self._is_legible(line)
        ]  # fmt: skip
        return sorted(lines, key=lambda line: line.box.y0 if line.box else 0.0)[:_MOST_LINES]

    def _is_legible(self, line: Line) -> bool:
        confidence = self._layout.document.blocks[line.block].confidence
        return confidence is None or confidence >= _LEGIBLE

    def _groups(self, spans: list[Span]) -> Iterator[list[Span]]:
        """Names that wrap to a second line are put together."""
        group: list[Span] = []
        for span in spans:
            if group and self._belongs(group[-1], span):
                group.append(span)
                continue
            if group:
                yield group
            group = [span]
        if group:
            yield group

    def _belongs(self, one: Span, two: Span) -> bool:
        first, second = self._text(one), self._text(two)
        return first.endswith(_WRAPS) or is_legal_form(second)

    def _continues(self, names: list[tuple[Span, ...]], name: tuple[Span, ...]) -> bool:
        at = names.index(name)
        if at == 0 or len(name) > 1:
            return False
        above, own = (self._layout.lines[span.line].box for span in (names[at - 1][-1], name[0]))
        if above is None or own is None:
            return False
        return is_near(above, own, _TIGHT)

    def _text(self, span: Span) -> str:
        return self._layout.lines[span.line].text[span.start : span.end]
