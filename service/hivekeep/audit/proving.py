"""Makes proofs that a record is in the log, for ``hivekeep-verify`` to check.

Responsible for finding the hashes a proof needs.  The roots of every 256 leaves are kept in
``derived/blocks``, so that a proof from a long log reads two segments and not all of them.
Invariant: a proof is checked before it is given away.
"""

from __future__ import annotations

from base64 import b64encode
from bisect import bisect_right
from pathlib import Path
from typing import Any

from hivekeep.audit import files
from hivekeep.audit.reading import SegmentReader, notes, segment_of
from hivekeep.audit.sealing import ReadingKey
from hivekeep.domain.errors import AuditError, NotFoundError
from hivekeep_verify import frames as layout
from hivekeep_verify.check import read_head, segment_paths
from hivekeep_verify.frames import FormatError
from hivekeep_verify.notes import Checkpoint, VerifierKey, open_note
from hivekeep_verify.proof import FORMAT, ProofError, check_proof
from hivekeep_verify.segment import read_header
from hivekeep_verify.tree import consistency_proof, inclusion_proof, node_hash, root_of, split

BLOCK = 256


def prove(
    folder: Path, record: int, reader: ReadingKey, *, reveal: bool = False, older: str = ""
) -> dict[str, Any]:
    """A bundle that proves that a record is in the log.

    :param reveal: also show the record's content, and that it is what was recorded.
    :param older: a signed checkpoint; also prove that its log is the beginning of this one.
    :raises NotFoundError: if there is no such record.
    :raises AuditError: if it cannot be proven because the log was changed.
    """
    try:
        return _prove(folder, record, reader, reveal=reveal, older=older)
    except (FormatError, ProofError, ValueError) as error:
        raise AuditError(
            f"Record {record} cannot be proven.",
            why=f"{error}.",
            next_step="'hivekeep audit verify' says what is wrong.",
        ) from error
    except OSError as error:
        raise AuditError("The audit log cannot be read.", why=f"{error.strerror}.") from error


def _prove(
    folder: Path, record: int, reader: ReadingKey, *, reveal: bool, older: str
) -> dict[str, Any]:
    head = read_head(folder)
    checkpoint = Checkpoint.parse(open_note(head)[0])
    if not 0 <= record < checkpoint.size:
        raise NotFoundError(
            f"There is no record {record}.", why=f"The log has {checkpoint.size} records."
        )
    bundle = _leaf(folder, record, reader, reveal=reveal)
    certificates, first = certificate_chain(folder)
    bundle |= {"format": FORMAT, "record": record, "checkpoint": head, "certificates": certificates}
    tree = Tree(folder)
    bundle["inclusion"] = _texts(inclusion_proof(record, checkpoint.size, tree.node))
    if older:
        old = Checkpoint.parse(open_note(older)[0])
        if old.origin != checkpoint.origin:
            raise ProofError("the older checkpoint is of another log")
        bundle["older"] = older
        bundle["consistency"] = _texts(consistency_proof(old.size, checkpoint.size, tree.node))
    try:
        check_proof(bundle, [first])
    except ProofError:
        if not tree.forget():
            raise
        return _prove(folder, record, reader, reveal=reveal, older=older)
    return bundle


def _leaf(folder: Path, record: int, reader: ReadingKey, *, reveal: bool) -> dict[str, Any]:
    paths = segment_paths(folder)
    segment = SegmentReader(paths[segment_of(paths, record)], reader)
    entry = next((e for e in segment.entries() if e.frame.index == record), None)
    if entry is None:
        raise FormatError("its frame cannot be found")
    leaf = layout.leaf_data(entry.frame.body, entry.previous)
    bundle: dict[str, Any] = {"leaf": b64encode(leaf).decode()}
    if entry.frame.kind == layout.NOTE:
        return bundle | {"content": b64encode(entry.frame.content).decode()}
    if not reveal:
        return bundle
    content = segment.content(entry)
    if content is None or segment.key is None:
        raise FormatError("its content cannot be read; its key may have been destroyed")
    opening = segment.key.opening(entry.frame.content[32:44])
    return bundle | {
        "content": b64encode(content).decode(), "opening": b64encode(opening).decode()
    }  # fmt: skip


def certificate_chain(folder: Path) -> tuple[list[dict[str, Any]], VerifierKey]:
    """The certificates of all signing keys, in order, and the first key.

    :raises FormatError: if a segment's beginning or a certificate cannot be read.
    """
    paths = segment_paths(folder)
    headers = [read_header(path) for path in paths]
    first = VerifierKey(headers[0].origin, headers[0].start.public)
    signer, chain = first, []
    for position, path in enumerate(paths):
        following = headers[position + 1] if position + 1 < len(headers) else None
        if following is not None and following.start.epoch == headers[position].start.epoch:
            continue
        for said in notes(path):
            if said["type"] == "epoch":
                chain.append(
                    {"by": str(signer), "epoch": said["epoch"],
                     "public_key": said["public_key"], "signature": said["signature"]}
                )  # fmt: skip
                signer = VerifierKey.of(signer.name, said["public_key"])
    return chain, first


class Tree:
    """The log's Merkle tree, read as far as a proof needs it."""

    def __init__(self, folder: Path) -> None:
        self._paths = segment_paths(folder)
        self._starts = [read_header(path).start.index for path in self._paths]
        self._leaves: dict[int, list[bytes]] = {}
        self._cache = folder / "derived" / "blocks"
        self._used_cache = self._cache.exists()
        self._blocks = self._load(Checkpoint.parse(open_note(read_head(folder))[0]).size)

    def node(self, low: int, high: int) -> bytes:
        """The Merkle tree hash of the leaves from ``low`` up to ``high``."""
        count = high - low
        if low % BLOCK == 0 and count % BLOCK == 0 and count & (count - 1) == 0:
            return root_of(self._blocks[low // BLOCK : high // BLOCK])
        if count <= BLOCK:
            return root_of([self._leaf(index) for index in range(low, high)])
        middle = low + split(count)
        return node_hash(self.node(low, middle), self.node(middle, high))

    def forget(self) -> bool:
        """Drop the kept blocks, if there were any; then everything is read anew."""
        self._cache.unlink(missing_ok=True)
        return self._used_cache

    def _load(self, size: int) -> list[bytes]:
        raw = self._cache.read_bytes() if self._used_cache else b""
        blocks = [raw[at : at + 32] for at in range(0, len(raw) - 31, 32)]
        before = len(blocks)
        for first in range(before * BLOCK, size - BLOCK + 1, BLOCK):
            blocks.append(root_of([self._leaf(n) for n in range(first, first + BLOCK)]))
        if len(blocks) > before:
            files.write_derived(self._cache, b"".join(blocks))
        return blocks

    def _leaf(self, index: int) -> bytes:
        position = bisect_right(self._starts, index) - 1
        if position not in self._leaves:
            # Leaves are asked for in order, so two segments at a time are enough.
            self._leaves = {p: v for p, v in self._leaves.items() if p == position - 1}
            self._leaves[position] = _leaves(self._paths[position])
        here = self._leaves[position]
        at = index - self._starts[position]
        if at >= len(here):
            raise FormatError(f"record {index} cannot be read")
        return here[at]


def _leaves(path: Path) -> list[bytes]:
    data = path.read_bytes()
    found: list[bytes] = []
    previous = read_header(path).start.chain
    try:
        for frame in layout.parse_frames(data):
            if frame.kind != layout.COMMIT:
                found.append(layout.leaf_hash(layout.leaf_data(frame.body, previous)))
            previous = frame.chain
    except FormatError:
        # A write may be under way; what is missing shows when the proof is checked.
        return found
    return found


def _texts(hashes: list[bytes]) -> list[str]:
    return [b64encode(digest).decode() for digest in hashes]
