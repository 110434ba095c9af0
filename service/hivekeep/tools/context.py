"""What a tool call is made with: the caller's rights, what it has seen, and the way to the outside.

Responsible for the seam between an agent and its tools.  Invariant: a tool reaches files, policy
and documents only through this, so that whoever makes the context decides what can be reached.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hivekeep.domain.actions import Action
from hivekeep.domain.documents import Document
from hivekeep.domain.grants import Grant
from hivekeep.domain.provenance import TRUSTED, Provenance
from hivekeep.domain.runs import InputFile


class ToolGate(Protocol):
    """Policy and audit; nothing with an effect passes without both."""

    async def require(self, action: Action, *, run: str, agent: str) -> str:
        """:raises PolicyDeniedError: if policy forbids the action."""
        ...


class Library(Protocol):
    """The documents of a run, by names that a model can say."""

    @property
    def names(self) -> tuple[str, ...]:
        """A distinct name for each input, in their order."""
        ...

    def input(self, name: str) -> InputFile:
        """:raises ToolError: if there is no such document."""
        ...

    async def read(self, name: str) -> Document:
        """The document's blocks; each is read once in a run.

        :raises DocumentError: if it cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class ToolContext:
    """Everything one call may rely on.

    ``grant`` bounds what the agent may do; ``provenance`` joins the labels of all that the agent
    has seen, because any of it may have chosen this call.  ``output`` is the run's own folder.
    ``key`` is the same for a call and its repetition after a crash, and different for all others.
    """

    run: str
    agent: str
    key: str
    grant: Grant
    gate: ToolGate
    library: Library
    output: str
    provenance: Provenance = TRUSTED

    async def require(self, action: Action) -> str:
        """Ask policy for an action of this agent; the id of the rule that allowed it.

        :raises PolicyDeniedError: if policy forbids it.
        """
        return await self.gate.require(action, run=self.run, agent=self.agent)
