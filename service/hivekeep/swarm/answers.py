"""What a model answered, as data.

Responsible for reading JSON that may have been cut off, and how sure the model was of each value;
not for believing it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

from hivekeep.domain.errors import EngineError


@dataclass(frozen=True, slots=True)
class Answer:
    """Values by field, and the probability (0 to 1) that the model gave to each one's tokens."""

    values: dict[str, Any] = field(default_factory=dict)
    confidence: dict[str, float] = field(default_factory=dict)

    def __or__(self, later: Answer) -> Answer:
        return Answer(self.values | later.values, self.confidence | later.confidence)


def confidences(text: str, logprobs: Sequence[tuple[int, int, float]]) -> dict[str, float]:
    """The joint probability of the sampled tokens of each value of a JSON object.

    ``logprobs`` are those of a ``FinishEvent``: forced tokens count as certain.  A value that was
    cut off has none.
    """
    found: dict[str, float] = {}
    for name, start, end in _members(text):
        first, last = len(text[:start].encode()), len(text[:end].encode())
        inside = [value for one, two, value in logprobs if one < last and first < two]
        if inside:
            found[name] = round(math.exp(sum(inside)), 4)
    return found


def _members(text: str) -> Iterator[tuple[str, int, int]]:
    """Key, start and end of each complete member of the object that ``text`` begins with."""
    decoder = json.JSONDecoder()
    at = text.find("{") + 1
    try:
        while at > 0 and '"' in text[at:]:
            key, at = decoder.raw_decode(text, text.index('"', at))
            start = text.index(":", at) + 1
            start += len(text[start:]) - len(text[start:].lstrip())
            _, end = decoder.raw_decode(text, start)
            yield str(key), start, end
            at = end
    except ValueError:
        return


def parse_answer(text: str) -> dict[str, Any]:
    """The model's JSON object, or the complete beginning of one cut off by the token limit.

    What was cut off is simply not there, and so is checked like a value that was never given.

    :raises EngineError: if nothing usable was answered.
    """
    try:
        answer = from_json(text, allow_partial=True)
    except ValueError as error:
        raise EngineError(
            "The model's answer was not usable.",
            why=f"It was not JSON ({error}).",
            next_step="Try again with 'hivekeep runs resume --retry-failed', or a larger model.",
        ) from error
    return answer if isinstance(answer, dict) else {}
