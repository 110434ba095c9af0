"""Verifies all that can be verified here: the public half and, with the owner's key, content.

Responsible for putting together what ``hivekeep_verify`` checks with the content, the anchor in the
key store and a log of the first version; it changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hivekeep.audit.first_verify import verify_first
from hivekeep.audit.opening import FIRST_FOLDER
from hivekeep.audit.reading import owner_reader
from hivekeep.audit.sealing import ReadingKey, SegmentKey, unwrap
from hivekeep.audit.signing import EpochKey
from hivekeep.audit.vault import AuditVault
from hivekeep.domain.errors import AuditError
from hivekeep.secrets import KeyStore
from hivekeep_verify.check import Report, check_log, key_file_path, segment_paths
from hivekeep_verify.frames import FormatError, Frame
from hivekeep_verify.notes import VerifierKey
from hivekeep_verify.segment import Problem, read_header


@dataclass(frozen=True, slots=True)
class ContentCheck:
    """Opens every event; picklable, so that several processes can check at once.

    A segment without a key here was shredded or is not ours to read, and is not looked into.
    """

    keys: dict[int, tuple[bytes, bytes]]

    def __call__(self, number: int, frame: Frame, previous: bytes) -> str:
        """What is wrong with an event's content, or nothing."""
        key = self._key(number)
        if key is None:
            return ""
        try:
            key.open(frame.index, previous, frame.content)
        except FormatError as error:
            return str(error)
        return ""

    def _key(self, number: int) -> SegmentKey | None:
        made = _OPENED.get(number)
        found = self.keys.get(number)
        if found is None:
            return None
        if made is None or made.secret != found[0]:
            # One segment is checked at a time, so one key is remembered.
            _OPENED.clear()
            made = _OPENED[number] = SegmentKey(found[0], found[1], number)
        return made


_OPENED: dict[int, SegmentKey] = {}


def verify(
    folder: Path,
    keys: KeyStore,
    *,
    witnessed: Sequence[tuple[str, str]] = (),
    jobs: int = 1,
) -> Report:
    """Check every record, its content, the chain, the signatures, and that nothing is missing.

    The key that signs now is trusted because the key store has its private half; the log has to
    lead to it.

    :param witnessed: places outside this machine and the signed checkpoints kept there.
    :raises AuditError: if it cannot be read at all.
    """
    reader = owner_reader(keys)
    vault = AuditVault(keys)
    anchor = [("anchor in the key store", vault.anchor_note)] if vault.anchor_note else []
    try:
        check, problems = _content_check(folder, reader)
        report = check_log(
            folder, trusted=_own_keys(folder, vault), witnessed=[*anchor, *witnessed],
            inspect=check, jobs=jobs,
        )  # fmt: skip
    except OSError as error:
        raise AuditError(
            "The audit log cannot be read.", why=f"{error.filename}: {error.strerror}."
        ) from error
    problems = problems + _check_first(folder, keys, report)
    return replace(report, problems=report.problems + tuple(problems))


def _own_keys(folder: Path, vault: AuditVault) -> list[VerifierKey]:
    for path in segment_paths(folder)[:1]:
        try:
            origin = read_header(path).origin
        except FormatError:
            continue
        return [EpochKey.from_seed(origin, k.epoch, k.seed).public for k in vault.signing]
    return []


def _content_check(folder: Path, reader: ReadingKey) -> tuple[ContentCheck, list[Problem]]:
    found: dict[int, tuple[bytes, bytes]] = {}
    problems: list[Problem] = []
    for path in segment_paths(folder):
        try:
            header = read_header(path)
        except FormatError:
            continue  # named by the check of the segment itself
        key_file = key_file_path(folder, header.number)
        try:
            commitment = bytes.fromhex(header.raw["key_commitment"])
            key = unwrap(key_file.read_bytes(), reader, commitment)
        except FileNotFoundError:
            continue  # shredded, or named by the check of the key files
        except (FormatError, ValueError, KeyError) as error:
            problems.append(Problem(f"keys/{key_file.name}", header.start.index, 0, str(error)))
            continue
        found[header.number] = (key.secret, bytes.fromhex(header.log))
    return ContentCheck(found), problems


def _check_first(folder: Path, keys: KeyStore, report: Report) -> list[Problem]:
    said: dict[str, Any] = report.notes[0][1].get("continues", {}) if report.notes else {}
    if said.get("format") != "HKAUD1":
        return []
    place = folder / FIRST_FOLDER
    first = verify_first(place, keys)
    problems = [
        Problem(f"{FIRST_FOLDER}/{found.place}", found.record, found.offset, found.what)
        for found in first.problems
        if str(found) not in said["problems"]
    ]
    if (first.records, first.head.hex()) != (said["records"], said["head"]):
        what = "the log of the first version is not the one that this log continues"
        problems.append(Problem(FIRST_FOLDER, first.records, 0, what))
    return problems
