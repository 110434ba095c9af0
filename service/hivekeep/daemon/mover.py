"""Copies and moves of inputs for recipes that ask for it and policies that allow it.

Responsible for doing it exactly once across a crash.  Invariant: nothing is overwritten, and a
move removes the source only after the copy is complete, durable and has the recorded hash.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from hivekeep.documents import file_sha256
from hivekeep.domain.errors import StorageError
from hivekeep.domain.fields import FileActionKind


class InputMover:
    """The file mover of the daemon; stateless."""

    def prepare(self, kind: str, source: Path, target: Path, sha256: str) -> dict[str, Any]:
        """Choose a target that does not exist yet and describe the action; change nothing."""
        free = target
        number = 1
        while free.exists() or free.is_symlink():
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

        :raises StorageError: if the source changed, the target was taken meanwhile, or the disk
            refused.
        """
        source, target = Path(prepared["source"]), Path(prepared["target"])
        try:
            if not target.exists():
                self._copy(source, Path(prepared["partial"]), target, prepared["sha256"])
            elif file_sha256(target)[0] != prepared["sha256"]:
                raise StorageError(
                    f"'{target}' appeared meanwhile and is another file.",
                    next_step="Nothing was changed; resume the run to choose another name.",
                )
            # A kill between the two names of a copy leaves the hidden one.
            Path(prepared["partial"]).unlink(missing_ok=True)
            moved = prepared["kind"] == FileActionKind.MOVE and source.exists()
            if moved and file_sha256(source)[0] == prepared["sha256"]:
                source.unlink()
        except OSError as error:
            raise StorageError(
                f"'{source.name}' could not be put into '{target.parent}'.",
                why=f"{error.strerror}.",
                next_step="The original is untouched. Resume the run once the cause is removed.",
            ) from error
        return target

    def _copy(self, source: Path, partial: Path, target: Path, sha256: str) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, partial)
        if file_sha256(partial)[0] != sha256:
            partial.unlink()
            raise StorageError(
                f"'{source.name}' changed after it was read, so it was not copied.",
                next_step="Process it again.",
            )
        descriptor = os.open(partial, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        # link fails if the target exists, which rename would silently replace.
        os.link(partial, target)
