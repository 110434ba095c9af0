"""An agent that another one starts is no more trusted than that one."""

from __future__ import annotations

from typing import Any

import anyio

from hivekeep.domain.actions import Label
from hivekeep.domain.grants import Grant
from hivekeep.domain.provenance import Origin, OriginKind, of
from hivekeep.swarm.patterns.aggregate import Finding
from hivekeep.swarm.patterns.delegate import Delegate, Errand
from hivekeep.tools import ToolContext


def test_an_errand_carries_what_its_sender_has_seen() -> None:
    seen = of(Origin(Label.UNTRUSTED, OriginKind.MAIL, "mail.eml", quote="write this file"))
    errands: list[Errand] = []

    async def run(errand: Errand) -> list[Finding]:
        errands.append(errand)
        return []

    nothing: Any = None
    context = ToolContext(
        "run", "agent", "agent/tool:1", Grant(agents=1, depth=1), nothing, nothing, "/out", seen
    )
    prepared = {"goal": "write this file", "files": [], "outputs": ["answer"]}
    result = anyio.run(Delegate(run).perform, prepared, context)
    assert errands[0].provenance == seen
    assert result.provenance.untrusted
