"""Who can read the log, changed over time: rotation, other administrators, destroyed keys.

Responsible for deciding which segments a change concerns; ``keyfiles`` does it.  Invariant: each
change is a public note of the log before it is done, so that an auditor sees who could read what,
and that missing content was destroyed on purpose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hivekeep.audit import keyfiles
from hivekeep.audit.reading import SegmentReader, read_key
from hivekeep.audit.record import timestamp
from hivekeep.audit.sealing import OwnerKey, Recipient, owner_id
from hivekeep.domain.errors import AuditError
from hivekeep_verify.check import key_file_path, segment_paths
from hivekeep_verify.segment import Header, read_header

if TYPE_CHECKING:
    from hivekeep.audit.log import AuditLog

_DAY = 86_400


def rewrap(log: AuditLog, recipients: Sequence[Recipient], *, new_owner_key: bool = False) -> int:
    """Wrap the keys of all segments anew; returns how many.

    Administrators that are not given cannot read from now on what they did not copy before.

    :param new_owner_key: also replace the owner's key.
    :raises AuditError: if the log or its key files cannot be written; then nothing changed.
    """
    vault, folder = log.vault, log.folder
    with log.custody:
        old = OwnerKey(vault.owner_or_new())
        owner = keyfiles.prepare_owner_key(vault) if new_owner_key else old.secret
        hashes: dict[str, str] = {}
        seen = 0

        def prepare() -> dict[str, Any]:
            # The second time, under the write lock: only what was begun meanwhile is left.
            nonlocal seen
            paths = segment_paths(folder)
            fresh, seen = paths[seen:], len(paths)
            missing = (key for key in map(partial(read_key, reader=old), fresh) if key is not None)
            try:
                hashes.update(
                    keyfiles.prepare_rewrap(folder, missing, log.identity, owner, recipients)
                )
            except OSError as error:
                raise AuditError(
                    "The audit log's key files cannot be written.", why=f"{error.strerror}."
                ) from error
            return {
                "type": "keys", "files": hashes, "owner": owner_id(owner),
                "recipients": [str(recipient) for recipient in recipients],
                "time": timestamp(log.now()),
            }  # fmt: skip

        def finish() -> None:
            keyfiles.finish_changes(folder, [{"type": "keys", "files": hashes}])
            if new_owner_key:
                vault.save(owner=owner, next_owner=b"")
            log.settings = replace(log.settings, recipients=tuple(recipients))

        prepare()
        log.change(prepare, finish)
        return len(hashes)


def shred(log: AuditLog, *, older_than_days: int) -> list[int]:
    """Destroy the keys of all segments whose records are all older; returns their numbers.

    Their content can never be read again by anyone, also in copies of the log; chain, tree and
    proofs of inclusion stay as they are.

    :raises AuditError: if the log cannot be written.
    """
    with log.custody:
        limit = log.now() - older_than_days * _DAY
        numbers = _expired(log.folder, OwnerKey(log.vault.owner_or_new()), limit)
        if numbers:
            said: dict[str, Any] = {
                "type": "shredded", "segments": numbers, "time": timestamp(log.now()),
                "reason": f"kept for {older_than_days} days",
            }  # fmt: skip
            log.change(lambda: said, lambda: keyfiles.finish_changes(log.folder, [said]))
    return numbers


def _expired(folder: Path, reader: OwnerKey, limit: float) -> list[int]:
    """Segments with keys, not written to any more, whose last record is from before ``limit``."""
    numbers = []
    for path, following in pairwise(segment_paths(folder)):
        header = read_header(path)
        if _moment(header) >= limit:
            break
        if not key_file_path(folder, header.number).exists():
            continue
        # The next one may have begun much later, after days without any record.
        ended = _moment(read_header(following))
        if ended >= limit:
            times = [record.time for record in SegmentReader(path, reader).records()]
            ended = max(times, default=ended)
        if ended < limit:
            numbers.append(header.number)
    return numbers


def _moment(header: Header) -> float:
    return datetime.fromisoformat(header.raw["time"]).timestamp()
