"""JSON Schema as token masks, through llguidance.

Responsible for which tokens may come next and which must, and for refusing a schema that cannot be
answered before anything is computed; not for choosing among tokens.  Invariant: what a finished
constraint has accepted is a JSON value of its schema.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import llguidance
import numpy as np

from hivekeep.domain.errors import EngineError
from hivekeep.engine.worker.sampling import Mask

# Compact JSON: every optional space would be a token that the model has to compute.
_COMPACT: Any = {
    "whitespace_flexible": False,
    "item_separator": ",",
    "key_separator": ":",
}
_LARGEST_SCHEMA = 200_000
_DEEPEST_SCHEMA = 64


class Constraint:
    """The state of one answer within its schema, which is given as JSON text."""

    def __init__(self, tokenizer: llguidance.LLTokenizer, schema: str) -> None:
        """:raises EngineError: if the schema cannot be used."""
        try:
            self._matcher = llguidance.LLMatcher(tokenizer, _grammar(schema))
        except ValueError as error:
            raise _unusable(str(error)) from error
        if self._matcher.is_error():
            raise _unusable(self._matcher.get_error())

    def forced(self) -> list[int]:
        """Tokens that must come next, already accepted; they need no sampling."""
        tokens: list[int] = list(self._matcher.compute_ff_tokens())
        if tokens:
            self._matcher.consume_tokens(tokens)
        return tokens

    def allowed(self) -> Mask:
        """One truth value per token of the vocabulary."""
        mask = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        return np.unpackbits(mask, bitorder="little").view(np.bool_)

    def accept(self, token: int) -> None:
        """The token was sampled.

        :raises EngineError: if the schema does not allow it.
        """
        if not self._matcher.consume_token(token):
            raise EngineError("The grammar lost its place.", why=self._matcher.get_error()[:300])

    @property
    def complete(self) -> bool:
        """Whether nothing but the end can follow."""
        return bool(self._matcher.is_stopped())


def check_schema(tokenizer: llguidance.LLTokenizer, schema: str) -> None:
    """Whether answers to ``schema`` can be made, without making one.

    :raises EngineError: if it is no JSON Schema, too large, too deep, or nothing satisfies it.
    """
    if len(schema) > _LARGEST_SCHEMA:
        raise _unusable(f"It has {len(schema)} characters, at most {_LARGEST_SCHEMA} are allowed.")
    if _depth(json.loads(schema)) > _DEEPEST_SCHEMA:
        raise _unusable(f"It is nested more than {_DEEPEST_SCHEMA} deep.")
    constraint = Constraint(tokenizer, schema)
    constraint.forced()
    if not constraint.complete and not constraint.allowed().any():
        raise _unusable("Nothing satisfies it.")


@lru_cache(maxsize=64)
def _grammar(schema: str) -> str:
    return str(llguidance.LLMatcher.grammar_from_json_schema(schema, overrides=_COMPACT))


def _depth(value: Any) -> int:
    deepest, rest = 0, [(value, 1)]
    while rest:
        item, depth = rest.pop()
        deepest = max(deepest, depth)
        inner = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        rest.extend((each, depth + 1) for each in inner)
    return deepest


def _unusable(why: str) -> EngineError:
    first = " ".join(why.split())
    return EngineError(
        "The answer's schema cannot be used.",
        why=first[:300],
        next_step="Simplify the recipe's fields.",
    )
