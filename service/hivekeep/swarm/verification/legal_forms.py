"""Companies' legal forms, by which a line of text is known to name one.

Responsible for finding "GmbH", "Sdn. Bhd." or 公司 in a line and for the forms that a letter states
beside a name; not for whose name it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from hivekeep.swarm.verification.text import squeeze

_LEGAL_FORM = re.compile(
    r"(?<!\w)(?:g?mbh|gesmbh|ag|kg|kgaa|ohg|gbr|ug|se|e\.? ?k(?:fr|fm)?\.?|e\.? ?v\.?|e\.? ?g\.?"
    r"|a\. ?g\.|ltd|limited|llc|llp|l\.l\.c|inc|incorporated|corp|corporation|plc|co\.|company"
    r"|s\.?a\.?r\.?l|s\.?a\.?s\.?u?|s\.?a\.?|s\.?n\.?c|e\.?u\.?r\.?l|s\.?r\.?l|s\.?p\.?a|s\.?l"
    r"|b\.?v|n\.?v|v\.?o\.?f|sdn\.? ?bhd|bhd|s/b|pte|pty|oy|ab|aps|a/s|sp\. ?z ?o\.? ?o|s\.r\.o)"
    r"(?!\w)\.?|公司|株式会社|有限会社",
    re.IGNORECASE,
)
# Where a space was not recognised: "MARTS/B" is "MART S/B" or "MARTS B".
_RUN_TOGETHER = re.compile(r"[^\W\d_]{2}(?:s/b|sdn\.? ?bhd)\.?$", re.IGNORECASE)
# French letters state form and capital beside the name (Code de commerce, R123-238); they are no
# part of it: in an e-invoice the name is BT-27, this statement BT-33 (EN 16931-1).
_STATED_FORM = re.compile(
    r"\b(s\.?a\.?r\.?l|s\.?a\.?s\.?u?|e\.?u\.?r\.?l|s\.?n\.?c|s\.?a)\b\.?,? au capital d",
    re.IGNORECASE,
)


def has_legal_form(text: str) -> bool:
    """Whether ``text`` names a company by its legal form, as "Acme GmbH" does."""
    return bool(_LEGAL_FORM.search(text))


def is_legal_form(text: str) -> bool:
    """Whether ``text`` is legal forms and nothing else, as "Sdn. Bhd." is."""
    return has_legal_form(text) and not any(char.isalnum() for char in _LEGAL_FORM.sub("", text))


def is_run_together(text: str) -> bool:
    """Whether a name ends in a legal form without the space before it."""
    return bool(_RUN_TOGETHER.search(text.strip()))


def stated_forms(lines: Iterable[str]) -> frozenset[str]:
    """The forms, squeezed, that a French letter states by themselves: "SARL au capital de …"."""
    return frozenset(
        squeeze(stated.group(1)) for line in lines for stated in _STATED_FORM.finditer(line)
    )


def without_address(text: str) -> str:
    """A company's name to the end of its legal form, if an address follows on the same line."""
    for form in _LEGAL_FORM.finditer(text):
        rest = text[form.end() :]
        if any(char.isdigit() for char in rest) and not has_legal_form(rest):
            return text[: form.end()]
    return text
