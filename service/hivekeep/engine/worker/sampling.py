"""Choosing one token from a row of logits.

Responsible for temperature, seeds and log-probabilities; which tokens are allowed is the
constraint's to say.  Invariant: the same row, mask and generator state give the same token.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hivekeep.domain.errors import EngineError

Logits = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


def choose(
    row: Logits, allowed: Mask | None, temperature: float, random: np.random.Generator
) -> tuple[int, float]:
    """The next token and its log-probability among the allowed ones at temperature 1.

    :raises EngineError: if nothing is allowed.
    """
    tokens: npt.NDArray[np.intp] | None = None
    values = row
    if allowed is not None:
        size = min(len(allowed), len(row))
        tokens = np.flatnonzero(allowed[:size])
        if not len(tokens):
            raise EngineError("The grammar allows no further token.")
        values = row[tokens]
    at = int(values.argmax())
    highest = float(values[at])
    if temperature > 0:
        scaled = np.exp((values - highest) / temperature, dtype=np.float64)
        # The inverse of the cumulated weights: one random number a token, whatever the mask.
        cumulated = np.cumsum(scaled)
        at = int(np.searchsorted(cumulated, random.random() * cumulated[-1], side="right"))
        at = min(at, len(values) - 1)
    total = float(np.log(np.exp(values - highest).sum(dtype=np.float64)))
    token = at if tokens is None else int(tokens[at])
    return token, float(values[at]) - highest - total
