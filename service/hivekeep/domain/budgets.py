"""What a run and an agent may use, and what they have used.

Responsible for the comparison of the two; whoever spends asks before each step.  Invariant: a
budget only ever refuses the next step, so nothing that was done is lost by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

Number = TypeVar("Number", int, float)

RESOURCES = ("steps", "tokens", "seconds", "tool_calls", "bytes_written")


@dataclass(frozen=True, slots=True)
class Spent:
    """What was used: journaled steps, tokens in and out, seconds, tool calls, bytes.

    An agent's seconds are those of its steps, a run's those for which it was under way.
    """

    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    tool_calls: int = 0
    bytes_written: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.steps + other.steps,
            self.tokens + other.tokens,
            self.seconds + other.seconds,
            self.tool_calls + other.tool_calls,
            self.bytes_written + other.bytes_written,
        )

    def __sub__(self, other: Spent) -> Spent:
        return Spent(
            self.steps - other.steps,
            self.tokens - other.tokens,
            self.seconds - other.seconds,
            self.tool_calls - other.tool_calls,
            self.bytes_written - other.bytes_written,
        )


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that may be used; ``None`` bounds nothing."""

    steps: int | None = None
    tokens: int | None = None
    seconds: float | None = None
    tool_calls: int | None = None
    bytes_written: int | None = None

    def exhausted(self, spent: Spent) -> str:
        """The name of a resource of which nothing is left, or an empty string."""
        for name in RESOURCES:
            most = getattr(self, name)
            if most is not None and getattr(spent, name) >= most:
                return name
        return ""

    def within(self, other: Budget) -> Budget:
        """The tighter of two budgets, resource by resource."""
        return Budget(
            steps=_least(self.steps, other.steps),
            tokens=_least(self.tokens, other.tokens),
            seconds=_least(self.seconds, other.seconds),
            tool_calls=_least(self.tool_calls, other.tool_calls),
            bytes_written=_least(self.bytes_written, other.bytes_written),
        )


@dataclass(frozen=True, slots=True)
class RunLimits:
    """What a recipe sets for its runs; ``None`` leaves it to policy.

    ``agents`` is the number of sub-agents alive at once, ``depth`` how deep they may start others.
    """

    agents: int | None = None
    depth: int | None = None
    run: Budget = Budget()
    agent: Budget = Budget()


def _least(one: Number | None, other: Number | None) -> Number | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
