"""Sentences for a person that can be said in another language.

Responsible for a sentence's stable id and the values in it; translating is whoever shows it's
business.  Invariant: a sentence is its English text, so that whoever knows nothing of ids may treat
it as such.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class Said(str):
    """An English sentence that knows its id and its values.

    ``values`` are text or sentences themselves.  A sentence made of several has ``parts`` instead,
    some of which may be plain text.
    """

    __slots__ = ("id", "parts", "values")

    id: str
    values: dict[str, str]
    parts: tuple[str, ...]

    def plain(self) -> dict[str, Any]:
        """The sentence as JSON-safe data for whoever translates."""
        if self.parts:
            return {"text": str(self), "parts": [plain_of(part) for part in self.parts]}
        values = {name: plain_of(value) for name, value in self.values.items()}
        return {"text": str(self), "id": self.id, "values": values}


def say(name: str, template: str, /, **values: object) -> Said:
    """The sentence called ``name``: ``template`` with its ``{placeholders}`` filled in.

    Both are literals wherever this is called, so that a test can compare all of them with the
    translations.
    """
    kept = {key: v if isinstance(v, str) else str(v) for key, v in values.items()}
    said = Said(template.format(**kept))
    said.id, said.values, said.parts = name, kept, ()
    return said


def together(parts: Iterable[str]) -> Said:
    """Several sentences as one text."""
    kept = tuple(part for part in parts if part)
    said = Said(" ".join(kept))
    said.id, said.values, said.parts = "", {}, kept
    return said


def plain_of(text: str) -> Any:
    """A sentence as data; text without an id as it is."""
    return text.plain() if isinstance(text, Said) else text


def sayings(**texts: str) -> dict[str, Any]:
    """Those of ``texts`` that can be translated, as data by their names."""
    return {name: text.plain() for name, text in texts.items() if isinstance(text, Said)}
