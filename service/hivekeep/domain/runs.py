"""The states of runs and agents and the transitions between them, in one place.

A run's state is a fold over its journaled events; nothing else decides it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RunState(StrEnum):
    """Where a run stands."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether the run will not change any more unless it is resumed."""
        return self in (RunState.FINISHED, RunState.CANCELLED, RunState.FAILED)

    @property
    def at_rest(self) -> bool:
        """Whether nothing happens until somebody asks for it."""
        return self.ended or self is RunState.PAUSED


class AgentState(StrEnum):
    """Where a sub-agent stands."""

    WAITING = "waiting"
    READING = "reading"
    THINKING = "thinking"
    CHECKING = "checking"
    ACTING = "acting"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether the agent has nothing left to do."""
        return self in (AgentState.DONE, AgentState.FAILED, AgentState.CANCELLED)


class StepKind(StrEnum):
    """What a step does; ``ACT`` and ``DELIVER`` have effects outside and are told apart by it."""

    READ = "read"
    GENERATE = "generate"
    CHECK = "check"
    ACT = "act"
    DELIVER = "deliver"


class AgentRole(StrEnum):
    """What a sub-agent is there for."""

    DOCUMENT = "document"
    """It works through one document."""
    PLANNER = "planner"
    """It turns a free request into tasks."""
    TASK = "task"
    """It works on one task with tools."""
    REDUCER = "reducer"
    """It puts the results of several others together."""


class TriggerKind(StrEnum):
    """What asked for a run."""

    COMMAND = "command"
    WATCH = "watch"
    SCHEDULE = "schedule"


@dataclass(frozen=True, slots=True)
class InputFile:
    """One input of a run, as it was when the run was made. ``sha256`` is empty if unreadable."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens: ``prompt`` sent, of which ``cached`` were not computed again, and ``completion``."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt + other.prompt,
            self.cached + other.cached,
            self.completion + other.completion,
        )
