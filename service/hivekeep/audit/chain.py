"""Builds the bytes of a log from where it stands: entries, checkpoints, segments, epochs.

Responsible for the order of hashes, in memory only; ``log`` writes what this makes.  Invariant: a
``Chain`` is moved on only by making bytes, so a copy that was not written can be thrown away.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hivekeep.audit.canonical import canonical
from hivekeep.audit.sealing import SegmentKey
from hivekeep.audit.signing import EpochKey
from hivekeep_verify import frames as layout
from hivekeep_verify.notes import checkpoint_text
from hivekeep_verify.segment import FORMAT, State
from hivekeep_verify.tree import Frontier


@dataclass(slots=True)
class Chain:
    """Where a log stands; ``index`` is the number of its leaves."""

    log: bytes
    origin: str
    index: int
    previous: bytes
    frontier: Frontier
    number: int
    key: SegmentKey | None

    @classmethod
    def begin(cls, log: bytes) -> Chain:
        """An empty log."""
        return cls(log, f"hivekeep/{log.hex()}", 0, layout.GENESIS, Frontier(), 0, None)

    @classmethod
    def at(cls, log: bytes, number: int, state: State, key: SegmentKey) -> Chain:
        """A log that stands at ``state`` in segment ``number``."""
        frontier = Frontier(state.index, state.frontier)
        origin = f"hivekeep/{log.hex()}"
        return cls(log, origin, state.index, state.chain, frontier, number, key)

    def copy(self) -> Chain:
        """The same place, to try something from."""
        frontier = self.frontier.copy()
        return Chain(
            self.log, self.origin, self.index, self.previous, frontier, self.number, self.key
        )

    def event(self, content: bytes) -> bytes:
        """The next frame: a sealed record."""
        if self.key is None:
            raise ValueError("no segment has begun")
        hidden, nonce, ciphertext = self.key.seal(self.index, self.previous, content)
        return self._entry(layout.event_body(self.index, hidden, nonce, ciphertext))

    def note(self, said: Mapping[str, Any]) -> bytes:
        """The next frame: a public note."""
        return self._entry(layout.note_body(self.index, canonical(dict(said))))

    def commit(self, signer: EpochKey) -> tuple[bytes, str]:
        """The next frame: a checkpoint over all before; and the same as a signed note."""
        root = self.frontier.root()
        text = checkpoint_text(self.origin, self.index, root)
        signature = signer.sign(text)
        body = layout.commit_body(self.index, signer.epoch, root, signature)
        self.previous = layout.commit_chain(self.previous, body)
        return layout.pack(body, self.previous), signer.note(text, signature)

    def segment(
        self, key: SegmentKey, signer: EpochKey, key_file: str, *, time: str,
        continues: Mapping[str, Any] | None = None,
    ) -> bytes:  # fmt: skip
        """The beginning of the next segment: the magic and its first note."""
        self.number, self.key = key.number, key
        said: dict[str, Any] = {
            "type": "segment", "format": FORMAT, "log": self.log.hex(), "origin": self.origin,
            "segment": key.number, "first": self.index, "chain": self.previous.hex(),
            "frontier": [digest.hex() for digest in self.frontier.hashes],
            "epoch": signer.epoch,
            "public_key": b64encode(signer.public.public).decode(),
            "key_commitment": key.commitment.hex(), "key_file": key_file, "time": time,
        }  # fmt: skip
        if continues:
            said["continues"] = dict(continues)
        return layout.MAGIC + self.note(said)

    def epoch(self, signer: EpochKey, successor: EpochKey) -> bytes:
        """The next frame: the old key's certificate of the new one."""
        return self.note(
            {
                "type": "epoch", "epoch": successor.epoch,
                "public_key": b64encode(successor.public.public).decode(),
                "signature": b64encode(signer.certify(successor)).decode(),
            }
        )  # fmt: skip

    def _entry(self, body: bytes) -> bytes:
        leaf = layout.leaf_hash(layout.leaf_data(body, self.previous))
        self.previous = layout.entry_chain(self.previous, leaf)
        self.frontier.append(leaf)
        self.index += 1
        return layout.pack(body, self.previous)
