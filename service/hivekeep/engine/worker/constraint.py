"""JSON Schema as token masks, through llguidance.

Responsible for which tokens may come next and which must; not for choosing among them.  Invariant:
what a finished constraint has accepted is a JSON value of its schema.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import llguidance
import numpy as np
import numpy.typing as npt

from hivekeep.domain.errors import EngineError

# Compact JSON: every optional space would be a token that the model has to compute.
_COMPACT: Any = {
    "whitespace_flexible": False,
    "item_separator": ",",
    "key_separator": ":",
}


class Constraint:
    """The state of one answer within its schema."""

    def __init__(self, tokenizer: llguidance.LLTokenizer, schema: dict[str, Any]) -> None:
        """:raises EngineError: if the schema cannot be used."""
        self._matcher = llguidance.LLMatcher(tokenizer, _grammar(json.dumps(schema)))
        if self._matcher.is_error():
            raise EngineError(
                "The answer's schema cannot be used.",
                why=self._matcher.get_error()[:300],
                next_step="Simplify the recipe's fields.",
            )

    def forced(self) -> list[int]:
        """Tokens that must come next, already accepted; they need no sampling."""
        tokens: list[int] = list(self._matcher.compute_ff_tokens())
        if tokens:
            self._matcher.consume_tokens(tokens)
        return tokens

    def allowed(self) -> npt.NDArray[np.bool_]:
        """One truth value per token of the vocabulary."""
        mask = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        return np.unpackbits(mask, bitorder="little").astype(bool)

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


@lru_cache(maxsize=64)
def _grammar(schema: str) -> str:
    return str(llguidance.LLMatcher.grammar_from_json_schema(schema, overrides=_COMPACT))
