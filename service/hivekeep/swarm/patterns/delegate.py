"""An agent starts others.

Responsible for the tool by which it asks for that; who is started, and within which bounds, is the
run's decision.  Invariant: an agent that was started has no right that its starter lacks, and what
it hands back is data that fits a schema.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from hivekeep.domain.actions import Label
from hivekeep.domain.errors import ToolError
from hivekeep.domain.grants import Grant
from hivekeep.domain.provenance import TRUSTED, Provenance
from hivekeep.swarm.patterns.aggregate import Finding, findings_text, provenance_of_findings
from hivekeep.tools import EffectClass, Happened, ToolContext, ToolResult, ToolSpec
from hivekeep.tools.documents import FileName
from hivekeep.tools.spec import Arguments

_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,29}$")]


class DelegateArguments(Arguments):
    """What others shall find out: in which documents (none: with tools), and which values."""

    goal: Annotated[str, Field(min_length=3, max_length=200)]
    files: Annotated[list[FileName], Field(max_length=20)]
    outputs: Annotated[list[_Name], Field(min_length=1, max_length=4)]


@dataclass(frozen=True, slots=True)
class Errand:
    """What one agent asks others to do; ``key`` names the step that asked.

    ``provenance`` is what the asking agent has seen, any of which may have chosen the errand.
    """

    agent: str
    key: str
    grant: Grant
    goal: str
    files: tuple[str, ...]
    outputs: tuple[str, ...]
    provenance: Provenance = TRUSTED


Run = Callable[[Errand], Awaitable[list[Finding]]]


class Delegate:
    """``delegate``: one reader for each named document, or one more worker."""

    spec = ToolSpec(
        name="delegate",
        description="has sub-agents read some documents for given values, or one work with tools",
        arguments=DelegateArguments,
        # Whoever is started journals its own steps, so asking again starts nobody twice.
        effect=EffectClass.READ,
        returns=Label.UNTRUSTED,
    )

    def __init__(self, run: Run) -> None:
        self._run = run

    async def prepare(self, arguments: DelegateArguments, context: ToolContext) -> dict[str, Any]:
        """The errand."""
        for name in arguments.files:
            context.library.input(name)
        if len(arguments.files) > context.grant.agents:
            raise ToolError(f"At most {context.grant.agents} sub-agents may be started.")
        return arguments.model_dump(mode="json")

    async def perform(self, prepared: dict[str, Any], context: ToolContext) -> ToolResult:
        """What they found, one line each."""
        errand = Errand(
            agent=context.agent,
            key=context.key,
            grant=context.grant,
            goal=prepared["goal"],
            files=tuple(prepared["files"]),
            outputs=tuple(prepared["outputs"]),
            provenance=context.provenance,
        )
        findings = await self._run(errand)
        text = findings_text(findings)
        failed = [finding.name for finding in findings if finding.failure]
        # Whoever was started knows only the errand, so what led to it is in what comes back.
        provenance = context.provenance.join(provenance_of_findings(findings))
        return ToolResult({"agents": len(findings), "failed": failed}, text, provenance)

    async def happened(self, prepared: dict[str, Any], context: ToolContext) -> Happened:  # noqa: ARG002
        """Those who were started are found again by their ids."""
        return Happened.NO
