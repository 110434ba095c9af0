"""From paths a person gave to the inputs of a run.

Responsible for expanding folders, leaving out what is plainly not meant, and hashing; not for
reading.  Invariant: every file named or found becomes exactly one input, also if it is unreadable,
so that it shows up in the failure sheet instead of being dropped.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from hivekeep.documents import file_sha256
from hivekeep.domain.errors import DocumentError, NotFoundError
from hivekeep.domain.runs import InputFile
from hivekeep.domain.saying import say


def expand(paths: Sequence[str]) -> list[Path]:
    """Files named directly and all regular files below named folders, sorted, each once.

    Hidden files below folders are left out; a hidden file that is named directly is not.

    :raises NotFoundError: if a named path does not exist.
    """
    found: dict[Path, None] = {}
    for name in paths:
        path = Path(os.path.abspath(Path(name).expanduser()))  # noqa: PTH100 - keep symlinks
        try:
            kind = path.stat().st_mode
        except OSError as error:
            raise NotFoundError(
                say("error.no_path", "There is no file or folder '{path}'.", path=name),
                why=f"{error.strerror}.",
                next_step=say("next.check_path", "Check the path; nothing was started."),
            ) from error
        if stat.S_ISDIR(kind):
            for file in sorted(_files_below(path)):
                found[file] = None
        else:
            found[path] = None
    return list(found)


def describe(path: Path) -> InputFile:
    """The input as it is now; ``sha256`` is empty if it cannot be read."""
    try:
        sha256, size = file_sha256(path)
    except (OSError, DocumentError):
        return InputFile(str(path), "", 0)
    return InputFile(str(path), sha256, size)


def _files_below(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            path = Path(root) / name
            if not name.startswith(".") and path.is_file():
                yield path
