"""Whether and when a failed request is tried again.

Responsible for the decision only; it neither waits nor connects.  Invariant: what a server asks for
with Retry-After is respected, or the request fails: it is never tried sooner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# Too early, too many, or the server's own trouble; 529 is what some services say when overloaded.
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
_FIRST_SECONDS = 0.5
_MOST_SECONDS = 30.0
_MOST_ASKED_SECONDS = 120.0


class PassingError(Exception):
    """A failure that may be gone at the next try; ``headers`` are the server's, in lower case."""

    def __init__(self, why: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(why)
        self.headers = headers or {}


@dataclass(frozen=True, slots=True)
class Again:
    """Try again after ``seconds``."""

    seconds: float


def after_failure(
    attempt: int, attempts: int, headers: Mapping[str, str], *, chance: float, now: float
) -> Again | None:
    """When to try again after the ``attempt``-th try (from 1) failed in a passing way.

    :param chance: between 0 and 1, spreads clients that failed together over the whole delay
        ("full jitter", Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
    :param now: seconds since the epoch, to which a date in Retry-After is compared.
    """
    if attempt >= attempts:
        return None
    asked = _asked(headers.get("retry-after", ""), now)
    if asked > _MOST_ASKED_SECONDS:
        return None
    return Again(asked + chance * min(_MOST_SECONDS, _FIRST_SECONDS * 2.0 ** (attempt - 1)))


def _asked(value: str, now: float) -> float:
    """Seconds that a Retry-After header asks for (RFC 9110, 10.2.3); 0 if it says nothing."""
    value = value.strip()
    if not value:
        return 0.0
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    return max((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now, 0.0)


def since_epoch() -> float:
    """Now, for :func:`after_failure`."""
    return datetime.now(UTC).timestamp()
