"""Reading one input as a durable step.

Responsible for policy before, the quarantine around, and the document's blob after reading.
Invariant: a document whose step is in the journal is never read again by its run.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from anyio.to_thread import run_sync

from hivekeep.domain.actions import Action, ActionKind
from hivekeep.domain.documents import Document
from hivekeep.domain.errors import DocumentError
from hivekeep.domain.runs import InputFile, StepKind
from hivekeep.journal import decode, encode
from hivekeep.swarm.ports import Ports
from hivekeep.swarm.quarantine import DEADLY, KILLS, Quarantine
from hivekeep.swarm.steps import RunLog, StepOutcome


async def read_document(
    log: RunLog,
    ports: Ports,
    quarantine: Quarantine,
    source: InputFile,
    *,
    agent: str = "",
    key: str = "read",
) -> Document:
    """The blocks of ``source``, from the journal if they are there.

    :raises DocumentError: if it cannot be read, or killed its reader twice.
    :raises PolicyDeniedError: if policy forbids reading it.
    """

    async def perform() -> StepOutcome:
        quarantine.require_clean(source.sha256, source.path)
        path = await run_sync(ports.resolve, source.path)
        action = Action(ActionKind.READ_FILE, path=path, size=source.size)
        await ports.gate.require(action, run=log.record.id, agent=agent)
        await require_travel(log, ports, source, agent=agent)
        document = await _read(ports, quarantine, source, Path(path))
        data = json.dumps(encode(document)).encode()
        result = {
            "document": hashlib.sha256(data).hexdigest(),
            "pages": document.pages,
            "media_type": document.media_type,
            "notes": list(document.notes),
        }
        return StepOutcome(result, blobs=(data,))

    intent = {"path": source.path, "sha256": source.sha256}
    done = await log.step(key, StepKind.READ, intent, perform, agent=agent)
    return decode(Document, json.loads(log.blob(done["document"])))


async def require_travel(log: RunLog, ports: Ports, source: InputFile, *, agent: str) -> None:
    """Ask policy whether ``source`` may travel to where the run's work is done.

    :raises PolicyDeniedError: if policy does not allow that cluster.
    """
    if cluster := ports.computing.cluster:
        travel = Action(ActionKind.RAY_CLUSTER, path=source.path, host=cluster, size=source.size)
        await ports.gate.require(travel, run=log.record.id, agent=agent)


async def _read(ports: Ports, quarantine: Quarantine, source: InputFile, path: Path) -> Document:
    for _ in range(KILLS):
        try:
            return await ports.reader.read(path, expected_sha256=source.sha256)
        except DocumentError as error:
            if error.reason not in DEADLY:
                raise
            last = error
            # A second reader may do better: the first may have died of something else.
            await quarantine.note(source.sha256, source.path, error)
    raise last
