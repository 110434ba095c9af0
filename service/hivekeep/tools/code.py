"""Computing with Python in a room without network, files or anything else of the user's.

Responsible for what goes into the room and what comes out of it; confinement is the sandbox's.
Invariant: nothing comes out but text, and it is as untrusted as what went in.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

from anyio.to_thread import run_sync
from pydantic import Field

from hivekeep.domain.actions import Action, ActionKind, Label
from hivekeep.domain.errors import ToolError
from hivekeep.domain.provenance import Origin, OriginKind, of
from hivekeep.sandbox.code import CodeLimits, CodeResult, Ended, Language, run_code
from hivekeep.tools.context import ToolContext
from hivekeep.tools.documents import FileName
from hivekeep.tools.spec import Arguments, EffectClass, Happened, ToolResult, ToolSpec

_MOST_SHOWN = 3_000
_LIMITS = CodeLimits(seconds=20.0, memory=512 * 1024**2, disk=64 * 1024**2)
_ENDINGS = {
    Ended.TIME: "it took too long",
    Ended.MEMORY: "it used too much memory",
    Ended.PROCESSES: "it started too many processes",
    Ended.DISK: "it wrote too much",
    Ended.OUTPUT: "it printed too much",
}


class CodeArguments(Arguments):
    """A program, and the documents whose text it gets as ``1.txt``, ``2.txt`` and so on."""

    code: Annotated[str, Field(min_length=1, max_length=6_000)]
    files: Annotated[list[FileName], Field(max_length=20)]


class RunCode:
    """``run_code``: Python in the sandbox.

    :param required: names the protections without which policy lets nothing run.
    """

    spec = ToolSpec(
        name="run_code",
        description="runs Python and shows what it prints; the files' text is in 1.txt, 2.txt, ...",
        arguments=CodeArguments,
        # What it changes is thrown away with its room.
        effect=EffectClass.READ,
        returns=Label.UNTRUSTED,
    )

    def __init__(self, required: Callable[[], Sequence[str]] = lambda: ()) -> None:
        self._required = required

    async def prepare(self, arguments: CodeArguments, context: ToolContext) -> dict[str, Any]:
        """The code with its hash, to which an approval is bound."""
        for name in arguments.files:
            context.grant.require_read(context.library.input(name).path)
        rule = await context.require(
            Action(
                ActionKind.RUN_CODE,
                label=context.provenance.label,
                payload_sha256=hashlib.sha256(arguments.code.encode()).hexdigest(),
            )
        )
        return {**arguments.model_dump(mode="json"), "rule": rule}

    async def perform(self, prepared: dict[str, Any], context: ToolContext) -> ToolResult:
        """What the program printed."""
        provenance = context.provenance.join(
            of(Origin(Label.UNTRUSTED, OriginKind.TOOL, "run_code"))
        )
        with tempfile.TemporaryDirectory(prefix="hivekeep-code-") as made:
            work = await run_sync(Path(made).resolve)
            for number, name in enumerate(prepared["files"], start=1):
                document = await context.library.read(name)
                text = "\n".join(block.text for block in document.blocks)
                await run_sync((work / f"{number}.txt").write_text, text)
                origin = Origin(
                    Label.UNTRUSTED, OriginKind.DOCUMENT, name, quote=text, sha256=document.sha256
                )
                provenance = provenance.join(of(origin))
            done = await run_code(
                prepared["code"], Language.PYTHON, work, limits=_LIMITS, required=self._required()
            )
        data = {"status": done.status, "ended": done.ended.value, "held": list(done.held)}
        return ToolResult(data, _shown(done), provenance)

    async def happened(self, prepared: dict[str, Any], context: ToolContext) -> Happened:  # noqa: ARG002
        """Nothing of it remains, so it may be run again."""
        return Happened.NO


def _shown(done: CodeResult) -> str:
    """The output, or the end of the error, which is where Python says what is wrong.

    :raises ToolError: if the program was stopped.
    """
    if done.ended in _ENDINGS:
        raise ToolError("The program was stopped.", why=f"{_ENDINGS[done.ended]}.")
    if done.ended is Ended.FAILED:
        return f"It failed:\n{done.errors[-800:]}"
    return done.output[:_MOST_SHOWN] or "(it printed nothing)"
