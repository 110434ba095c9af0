"""What the audit tests share: a key store in memory, and logs with something in them."""

from __future__ import annotations

import copy
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from hivekeep.audit import AuditEvent, AuditLog, AuditSettings, Report, verify
from hivekeep.secrets import KeyStore
from hivekeep_verify import frames as layout
from hivekeep_verify.check import segment_paths

SECRET = "the secret subject of an action"


class Memory:
    """A key store's backend in memory."""

    def __init__(self) -> None:
        self.table: dict[str, bytes] = {}

    def get(self, name: str) -> bytes | None:
        return self.table.get(name)

    def put(self, name: str, value: bytes) -> None:
        self.table[name] = value

    def delete(self, name: str) -> None:
        self.table.pop(name, None)

    def describe(self) -> str:
        return "memory"


@dataclass
class World:
    """A log's folder and its key store, which can be copied and put back."""

    folder: Path
    memory: Memory = field(default_factory=Memory)

    @property
    def keys(self) -> KeyStore:
        return KeyStore(self.memory)

    def open(self, settings: AuditSettings | None = None) -> AuditLog:
        return AuditLog.open(self.folder, self.keys, settings or AuditSettings())

    def write(self, count: int, start: int = 0, *, epochs: int = 0) -> None:
        """Write records ``start`` to ``start + count``, and let the signing key evolve."""
        log = self.open()
        for number in range(start, start + count):
            log.append(AuditEvent("test", f"act.{number}", subject=SECRET, detail={"n": number}))
        for _ in range(epochs):
            log.evolve()
        log.close()

    def verify(self) -> Report:
        return verify(self.folder, self.keys)

    def copy(self, folder: Path, *, keys: bool = True) -> World:
        """A copy of the log, with a copy of the key store or the same one."""
        shutil.copytree(self.folder, folder)
        return World(folder, copy.deepcopy(self.memory) if keys else self.memory)

    @property
    def segments(self) -> list[Path]:
        return segment_paths(self.folder)

    def frames(self, segment: int = 0) -> list[bytes]:
        """The stored bytes of each frame of a segment."""
        data = self.segments[segment].read_bytes()
        return [data[f.offset : f.end] for f in layout.parse_frames(data)]

    def put_frames(self, frames: list[bytes], segment: int = 0) -> None:
        """Replace a segment's frames as they are."""
        self.segments[segment].write_bytes(layout.MAGIC + b"".join(frames))


def rechain(frames: list[bytes], previous: bytes = layout.GENESIS) -> list[bytes]:
    """The frames with index and chain values made to fit, as a stranger without keys can."""
    made, index = [], 0
    for stored in frames:
        body = stored[4:-32]
        if body[0] == layout.COMMIT:
            previous = layout.commit_chain(previous, body)
        else:
            body = body[:1] + index.to_bytes(8, "big") + body[9:]
            leaf = layout.leaf_hash(layout.leaf_data(body, previous))
            previous = layout.entry_chain(previous, leaf)
            index += 1
        made.append(layout.pack(body, previous))
    return made
