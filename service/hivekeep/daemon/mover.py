"""Copies and moves of inputs for recipes that ask for it and policies that allow it.

Responsible for doing it exactly once across a crash.  Invariant: nothing is overwritten, nothing is
followed that has become a link since policy looked, and a move removes the source only after the
copy is complete, durable and has the recorded hash, and only if it is still the file that was
copied.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from hivekeep.domain.errors import StorageError
from hivekeep.domain.fields import FileActionKind
from hivekeep.files import Folder, Identity, open_file, write_all

_CHUNK = 1 << 20


class InputMover:
    """The file mover of the daemon; stateless."""

    def prepare(self, kind: str, source: Path, target: Path, sha256: str) -> dict[str, Any]:
        """Choose a target that does not exist yet and describe the action; change nothing.

        Both paths are the resolved ones that policy has judged.
        """
        free = target
        number = 1
        while os.path.lexists(free):
            number += 1
            free = target.with_name(f"{target.stem} ({number}){target.suffix}")
        partial = free.with_name(f".{free.name}.hivekeep-part")
        return {
            "kind": kind,
            "source": str(source),
            "target": str(free),
            "partial": str(partial),
            "sha256": sha256,
        }

    def perform(self, prepared: dict[str, Any]) -> Path:
        """Copy or move as prepared; repeating it after a crash changes nothing more.

        :raises StorageError: if the source changed, the target was taken meanwhile, a folder became
            a link, or the disk refused.
        """
        source, target = Path(prepared["source"]), Path(prepared["target"])
        try:
            with Folder.make(str(target.parent)) as folder:
                if folder.identity(target.name) is None:
                    _copy(source, folder, Path(prepared["partial"]).name, target, prepared)
                elif _sha256(folder.open_file(target.name)) != prepared["sha256"]:
                    raise StorageError(
                        f"'{target}' appeared meanwhile and is another file.",
                        next_step="Nothing was changed; resume the run to choose another name.",
                    )
                # A kill between the two names of a copy leaves the hidden one.
                folder.remove(Path(prepared["partial"]).name)
            if prepared["kind"] == FileActionKind.MOVE:
                _remove(source, prepared["sha256"])
        except (OSError, ValueError) as error:
            raise StorageError(
                f"'{source.name}' could not be put into '{target.parent}'.",
                why=f"{getattr(error, 'strerror', None) or error}.",
                next_step="The original is untouched. Resume the run once the cause is removed.",
            ) from error
        return target


def _copy(
    source: Path, folder: Folder, partial: str, target: Path, prepared: dict[str, Any]
) -> None:
    # Left by a crash, or put there by somebody else: never opened, only removed.
    folder.remove(partial)
    reading = open_file(str(source))
    try:
        before = os.fstat(reading)
        writing = folder.create(partial, before.st_mode & 0o777)
        try:
            digest = hashlib.sha256()
            while chunk := os.read(reading, _CHUNK):
                digest.update(chunk)
                write_all(writing, chunk)
            os.utime(writing, ns=(before.st_atime_ns, before.st_mtime_ns))
            os.fsync(writing)
            if digest.hexdigest() != prepared["sha256"]:
                raise StorageError(
                    f"'{source.name}' changed after it was read, so it was not copied.",
                    next_step="Process it again.",
                )
            # It fails if the target exists, which a rename would silently replace.
            folder.place(writing, partial, target.name)
        finally:
            os.close(writing)
    finally:
        os.close(reading)
        with suppress(OSError):
            folder.remove(partial)
    folder.sync()


def _remove(source: Path, sha256: str) -> None:
    """Remove the source if it is still there and still what was copied."""
    try:
        reading = open_file(str(source))
    except FileNotFoundError:
        # A kill in the middle of removing it leaves it under another name.
        with Folder.open(str(source.parent)) as folder:
            for left in folder.left_aside(source.name):
                if _sha256(folder.open_file(left)) == sha256:
                    folder.remove(left)
        return
    identity = Identity.of(os.fstat(reading))
    if _sha256(reading) == sha256:
        with Folder.open(str(source.parent)) as folder:
            folder.remove_exactly(source.name, identity)


def _sha256(descriptor: int) -> str:
    with os.fdopen(descriptor, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
