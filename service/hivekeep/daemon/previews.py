"""What an action would do, looked up on this machine before a person is asked.

Responsible for the state of files before and after, and for the words an agent has read; not for
wording or asking.  Invariant: looking changes nothing, and what is looked up is bounded.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import PurePath

from hivekeep.domain.actions import Action, ActionKind, Label
from hivekeep.domain.approvals import (
    Asker,
    ChangeKind,
    CommandPreview,
    FileChange,
    FileState,
    Passage,
    Preview,
)
from hivekeep.domain.documents import Block, Document
from hivekeep.domain.errors import HivekeepError
from hivekeep.domain.provenance import Provenance, join_all
from hivekeep.domain.values import FieldValue
from hivekeep.files import open_file
from hivekeep.journal import decode
from hivekeep.swarm.events import AgentRecord, RunRecord
from hivekeep.swarm.labels import joined

_HASHED_BYTES = 64 << 20
_MOST_PASSAGES = 6
_LONGEST_PASSAGE = 400


def preview_of(action: Action) -> Preview:
    """The preview that can be made from the action alone; reads metadata and hashes of files."""
    match action.kind:
        case ActionKind.WRITE_FILE:
            before = state_of(action.path)
            change = ChangeKind.OVERWRITE if _is_file(action.path) else ChangeKind.CREATE
            after = FileState(action.path, exists=True, size=action.size)
            return Preview(files=(FileChange(change, before, after),))
        case ActionKind.COPY_FILE | ActionKind.MOVE_FILE:
            moves = action.kind is ActionKind.MOVE_FILE
            change = ChangeKind.MOVE if moves else ChangeKind.COPY
            before, after = state_of(action.path), state_of(action.target)
            note = "A file of that name is there already; the new one gets a number."
            return Preview((FileChange(change, before, after),), note=note if after.exists else "")
        case ActionKind.DELETE_FILE:
            gone = FileState(action.path, exists=False)
            return Preview((FileChange(ChangeKind.DELETE, state_of(action.path), gone),))
        case ActionKind.MCP_CALL:
            said = "; ".join(action.arguments)
            return Preview(note=f"It is called with: {said}" if said else "It is called as it is.")
        case ActionKind.RUN_COMMAND:
            return Preview(command=CommandPreview((action.command, *action.arguments), action.path))
        case _:
            return Preview()


def state_of(path: str) -> FileState:
    """The file at a resolved path as it is now; its hash if it is not too large to read at once."""
    try:
        with os.fdopen(open_file(path), "rb") as file:
            found = os.fstat(file.fileno())
            sha256 = ""
            if found.st_size <= _HASHED_BYTES:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return _state_of_other(path)
    return FileState(path, True, found.st_size, found.st_mtime, sha256)


def _state_of_other(path: str) -> FileState:
    """What is no file, or cannot be read: there or not, a link being itself."""
    try:
        found = os.lstat(path)
    except (OSError, ValueError):
        return FileState(path, exists=False)
    return FileState(path, True, found.st_size, found.st_mtime)


def asker_of(record: RunRecord | None, run: str, agent: str) -> Asker:
    """Who asks, as its run tells it."""
    if record is None:
        return Asker(run=run, agent=agent)
    plan, source = record.request.plan, record.agents.get(agent)
    return Asker(
        run=record.id,
        agent=agent,
        recipe=plan.recipe,
        recipe_hash=plan.recipe_hash,
        title=record.request.title,
        document=PurePath(source.input.path).name if source else "",
    )


def passages_of(
    record: RunRecord, agent: AgentRecord, blob: Callable[[str], bytes]
) -> tuple[Passage, ...]:
    """The words behind an agent's values and the first it has read; all of them untrusted.

    Of an agent without a document they are those of all origins that what it has seen carries.
    """
    document = _document_of(agent, blob)
    if document is None:
        return _passages(seen_by(record, agent))
    # What the values rest on first, then how the document begins.
    chosen = list(dict.fromkeys((*_evidence(agent, document), *document.blocks[:_MOST_PASSAGES])))
    return tuple(
        Passage(
            text=block.text[:_LONGEST_PASSAGE],
            origin=", ".join(filter(None, (document.name, f"page {block.page}", block.locator))),
            label=Label.UNTRUSTED,
        )
        for block in chosen[:_MOST_PASSAGES]
    )


def seen_by(record: RunRecord, agent: AgentRecord) -> Provenance:
    """What an agent with tools has seen, as the journal tells: earlier results, its tools' answers.

    An agent that another one started has seen what led to the errand as well.
    """
    parts = []
    here: AgentRecord | None = agent
    while here is not None:
        for step in here.steps.values():
            if told := (step.result or {}).get("provenance"):
                parts.append(decode(Provenance, told))
        for task in record.graph.tasks if record.graph else ():
            if task.id == here.task:
                before = [a for a in record.agents.values() if a.task in task.after]
                parts += [joined(agent.result) for agent in before]
        here = record.agents.get(here.parent)
    return join_all(parts)


def _passages(seen: Provenance) -> tuple[Passage, ...]:
    return tuple(
        Passage(
            text=origin.quote[:_LONGEST_PASSAGE],
            origin=", ".join(filter(None, (PurePath(origin.name).name, origin.place))),
            label=origin.label,
        )
        for origin in seen.untrusted_origins()[:_MOST_PASSAGES]
    )


def _evidence(agent: AgentRecord, document: Document) -> Iterator[Block]:
    step = agent.steps.get("check:again") or agent.steps.get("check")
    values = (step.result or {}).get("result", {}).get("values", []) if step and step.done else []
    seen: set[int] = set()
    for value in values:
        if "rows" in value:
            continue
        for place in decode(FieldValue, value).evidence:
            if place.block not in seen and place.block < len(document.blocks):
                seen.add(place.block)
                yield document.blocks[place.block]


def _document_of(agent: AgentRecord, blob: Callable[[str], bytes]) -> Document | None:
    step = agent.steps.get("read")
    if step is None or not step.done or step.result is None:
        return None
    try:
        return decode(Document, json.loads(blob(step.result["document"])))
    except (HivekeepError, KeyError, ValueError):
        return None  # the question can be asked without; that they are missing is shown


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False
