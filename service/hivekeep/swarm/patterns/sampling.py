"""How one model call differs from the plain greedy one, and what makes two calls the same.

Responsible for the identity of a question; a result may be taken from an earlier run only if that
is equal.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Protocol

from hivekeep.domain.inference import Message


@dataclass(frozen=True, slots=True)
class Sampling:
    """Another model, or chance: ``temperature`` 0 is greedy and makes ``seed`` irrelevant."""

    model: str = ""
    temperature: float = 0.0
    seed: int = 0


GREEDY = Sampling()


class Generate(Protocol):
    """One durable model call."""

    def __call__(
        self,
        key: str,
        messages: tuple[Message, ...],
        schema: dict[str, Any] | None,
        sampling: Sampling = GREEDY,
    ) -> Awaitable[str]:
        """The answer's text."""
        ...


def generate_intent(
    prompt_sha256: str,
    model: str,
    schema: dict[str, Any] | None,
    max_tokens: int,
    sampling: Sampling,
) -> dict[str, Any]:
    """What is journaled before a model call: everything that its answer depends on."""
    shape = json.dumps(schema, sort_keys=True).encode()
    intent = {
        "prompt_sha256": prompt_sha256,
        "model": model,
        "schema_sha256": hashlib.sha256(shape).hexdigest(),
        "max_tokens": max_tokens,
    }
    if sampling.temperature > 0:
        intent |= {"temperature": sampling.temperature, "seed": sampling.seed}
    return intent
