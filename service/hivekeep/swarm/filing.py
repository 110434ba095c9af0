"""An input is copied or moved into the folder that one of its values names.

Responsible for policy before and for the two durable steps around it; doing it is the mover's.
Invariant: the target is journaled before anything is changed, so that a kill in between repeats
exactly the same.
"""

from __future__ import annotations

from pathlib import Path

from anyio.to_thread import run_sync

from hivekeep.domain.actions import Action, ActionKind, Label
from hivekeep.domain.budgets import Spent
from hivekeep.domain.fields import FileAction, FileActionKind
from hivekeep.domain.runs import InputFile, StepKind
from hivekeep.swarm.ports import Ports
from hivekeep.swarm.steps import RunLog, StepOutcome


async def file_document(
    log: RunLog,
    ports: Ports,
    source: InputFile,
    action: FileAction,
    folder: str,
    *,
    agent: str,
    key: str = "act",
    label: Label = Label.UNTRUSTED,
) -> str:
    """Put ``source`` into ``folder`` below the action's root; the path where it is now.

    :param label: that of the folder's name; as a rule document text has chosen it.

    :raises PolicyDeniedError: if policy or a person forbids it.
    :raises StorageError: if the disk refuses.
    """
    wanted = Path(source.path)
    original = Path(await run_sync(ports.resolve, str(wanted)))
    place = Path(action.root) / safe_folder(folder)
    target = Path(await run_sync(ports.resolve, str(place))) / wanted.name
    kind = ActionKind.MOVE_FILE if action.kind is FileActionKind.MOVE else ActionKind.COPY_FILE
    request = Action(kind, path=str(original), target=str(target), label=label,
                     size=source.size)  # fmt: skip
    rule = await ports.gate.require(request, run=log.record.id, agent=agent)

    async def prepare() -> StepOutcome:
        return StepOutcome(
            await run_sync(ports.mover.prepare, action.kind.value, original, target, source.sha256)
        )

    prepared = await log.step(f"{key}:prepare", StepKind.ACT, {"rule": rule}, prepare, agent=agent)

    async def perform() -> StepOutcome:
        path = await run_sync(ports.mover.perform, prepared)
        await ports.gate.record(
            kind.value, run=log.record.id, agent=agent, subject=str(path), outcome="done",
            source=str(original),
        )  # fmt: skip
        return StepOutcome({"path": str(path)}, written=source.size)

    done = await log.step(
        key, StepKind.ACT, prepared, perform, agent=agent, expects=Spent(bytes_written=source.size)
    )
    return str(done["path"])


def safe_folder(name: str) -> str:
    """A single harmless folder name from a model's suggestion; ``Unsorted`` if nothing is left."""
    kept = "".join(char if char.isalnum() or char in " -_." else " " for char in name)
    return " ".join(kept.split()).strip(". ")[:60].strip(". ") or "Unsorted"
