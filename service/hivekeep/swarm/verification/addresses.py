"""Postal addresses and ways to reach somebody, told by their shape.

Responsible for saying that a line of text is one, or goes on with one; not for reading its parts.
"""

from __future__ import annotations

import re

_ADDRESS = re.compile(
    r"^(?:[A-Z]{1,3}[- ])?\d{4,6}\s+\w|\w\.? \d{1,4} ?[a-z]?$|^\d{1,5}[,]? (?:rue|avenue|av|bd|"
    r"boulevard|chemin|place|impasse|allée|street|road|\w+ (?:street|road|lane|avenue|drive))\b|"
    r"^(?:no|lot|unit|suite|level|jalan|jln|p\.?o\.? box|postfach)\b[ .:]",
    re.IGNORECASE,
)
_CONTACT = re.compile(r"@|https?:|www\.|\(\d{3,}|\+\d\d", re.IGNORECASE)
_POST_CODE = re.compile(r"(?:[A-Z]{1,3}[- ])?\d{4,6}\s+\w")
_POST_CODE_TOWN = re.compile(r"(?:[A-Z]{1,3}[- ]?)?\d{4,6}\s*[^\W\d]{2,}")
# Five digits and a word after a name: "Muster KG Am Kai 7 24103 Kiel".
_TOWN_INSIDE = re.compile(r"(?<![\d./-])\d{5} +[^\W\d_]{3,}")


def is_address(text: str) -> bool:
    """Whether a line looks like a street with a number, or a post code with a town."""
    return bool(_ADDRESS.search(text))


def is_contact(text: str) -> bool:
    """Whether a line has a mail address, a web address or an international phone number."""
    return bool(_CONTACT.search(text))


def begins_with_post_code(text: str) -> bool:
    """Whether ``text`` begins with a post code and a word."""
    return bool(_POST_CODE.match(text))


def is_town(text: str) -> bool:
    """Whether ``text`` begins with a post code and its town's name, perhaps without a space."""
    return bool(_POST_CODE_TOWN.match(text))


def goes_on_with_town(text: str) -> bool:
    """Whether a post code and a town follow in ``text``, as in "Muster KG Am Kai 7 24103 Kiel"."""
    return bool(_TOWN_INSIDE.search(text))
