"""A finished run as one file that can be executed again anywhere.

Responsible for the format; executing it is ``swarm.replay``'s.  Invariant: a recording holds all
that its run took in: what readers read, what models answered, what tools gave, what people decided.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any, Protocol

from hivekeep.domain.errors import JournalError, UsageError
from hivekeep.domain.runs import RunState
from hivekeep.journal import Event
from hivekeep.swarm.events import RunRecord, fold

FORMAT = "hivekeep-recording/1"


class Source(Protocol):
    """Where a run's events and blobs are read from; the journal is one."""

    def events(self, run: str | None = None, *, kinds: Sequence[str] = ()) -> Iterator[Event]:
        """The durable events in order."""
        ...

    def blob(self, sha256: str) -> bytes:
        """The content stored under ``sha256``."""
        ...


@dataclass(frozen=True, slots=True)
class Recording:
    """A run's events and blobs, and the hashes that its deliverables must have, by suffix."""

    run: str
    events: tuple[Event, ...]
    blobs: dict[str, bytes]
    expected: dict[str, str]

    def record(self) -> RunRecord:
        """The run as it was recorded."""
        return fold(list(self.events))[self.run]

    def accepting(self, expected: dict[str, str]) -> Recording:
        """The same recording with other deliverables declared right."""
        return replace(self, expected=dict(expected))

    def text(self) -> str:
        """The recording as lines of JSON: a head, the events, the blobs."""
        head = {"format": FORMAT, "run": self.run, "expected": self.expected}
        lines = [json.dumps(head, sort_keys=True)]
        for event in self.events:
            line = {"agent": event.agent, "kind": event.kind, "at": event.at,
                    "payload": event.payload}  # fmt: skip
            lines.append(json.dumps(line, separators=(",", ":")))
        for sha256, data in sorted(self.blobs.items()):
            packed = base64.b64encode(zlib.compress(data, 9)).decode()
            lines.append(json.dumps({"blob": sha256, "data": packed}))
        return "\n".join(lines) + "\n"


def record_run(source: Source, record: RunRecord) -> Recording:
    """The recording of a finished run.

    :raises UsageError: if it has not finished.
    :raises JournalError: if something it read is no longer kept.
    """
    prepared = record.steps.get("deliver:prepare")
    if record.state is not RunState.FINISHED or prepared is None or prepared.result is None:
        raise UsageError(
            f"Run {record.id} cannot be replayed.",
            why=f"It is {record.state.value}, not finished.",
            next_step=f"'hivekeep runs resume {record.id}' lets it finish first.",
        )
    expected = {PurePath(f["target"]).suffix: str(f["sha256"]) for f in prepared.result["files"]}
    events = tuple(source.events(record.id))
    blobs = {name: source.blob(name) for name in _blobs(record)}
    return Recording(record.id, events, blobs, expected)


def load_recording(path: Path) -> Recording:
    """A recording from a file, gzipped or plain.

    :raises UsageError: if it is not one.
    """
    raw = path.read_bytes()
    try:
        text = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
        return read_recording(text.decode())
    except (OSError, EOFError, ValueError, KeyError, TypeError, zlib.error) as error:
        raise UsageError(
            f"'{path}' is not a recording of a run.",
            why=f"{type(error).__name__}: {error}.",
            next_step="'hivekeep runs export RUN FILE' makes one.",
        ) from error


def read_recording(text: str) -> Recording:
    """A recording from its text.

    :raises ValueError: if it is not one.
    :raises JournalError: if a blob does not match its name.
    """
    head, *rest = [json.loads(line) for line in text.splitlines() if line]
    if head.get("format") != FORMAT:
        raise ValueError(f"its format is {head.get('format')!r}, not {FORMAT!r}")
    events: list[Event] = []
    blobs: dict[str, bytes] = {}
    for line in rest:
        if "blob" in line:
            blobs[line["blob"]] = _unpacked(line)
        else:
            seq = len(events) + 1
            events.append(
                Event(seq, head["run"], line["agent"], line["kind"], line["at"], line["payload"])
            )
    return Recording(head["run"], tuple(events), blobs, dict(head["expected"]))


def save_recording(recording: Recording, path: Path) -> None:
    """Write a recording, gzipped if the file's name ends so; the same one gives the same bytes."""
    data = recording.text().encode()
    path.write_bytes(gzip.compress(data, 9, mtime=0) if path.suffix == ".gz" else data)


def _unpacked(line: dict[str, Any]) -> bytes:
    data = zlib.decompress(base64.b64decode(line["data"]))
    if hashlib.sha256(data).hexdigest() != line["blob"]:
        raise JournalError("A recording's content was changed.", why=f"Blob {line['blob'][:12]}.")
    return data


def _blobs(record: RunRecord) -> set[str]:
    owners = [record.steps, *(agent.steps for agent in record.agents.values())]
    return {
        str(step.result["document"])
        for steps in owners
        for step in steps.values()
        if step.result and "document" in step.result
    }
