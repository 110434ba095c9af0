"""Puts a report's files where the user finds them, in two steps around the journal.

Responsible for durable, hidden temporary files and for making them visible exactly once; not for
what is in them.  Invariant: a file that we did not write is never overwritten, repeating either
step after a crash leaves one complete set of files, and no link is followed on the way to them.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import tzinfo
from pathlib import Path
from typing import IO, Any

from hivekeep.deliverables.data import report_json
from hivekeep.deliverables.prose import has_prose, report_markdown
from hivekeep.deliverables.sheets import build_sheets
from hivekeep.deliverables.text import cell_text, file_name, one_line
from hivekeep.domain.errors import StorageError
from hivekeep.domain.report import RunReport
from hivekeep.files import Folder

_MOST_NAMES = 1_000


class ReportPublisher:
    """Renders reports as a workbook, JSON and, for prose, Markdown.

    :param zone: the time zone of file names and of the sheet about the run; ``None`` is the
        machine's own.
    """

    def __init__(self, zone: tzinfo | None = None) -> None:
        self._zone = zone

    def prepare(self, report: RunReport, folder: Path) -> list[dict[str, Any]]:
        """Write temporary files into ``folder``, which is made if need be, and describe them.

        ``folder`` is absolute and free of links, as policy has judged it.
        Each description holds ``temporary``, ``target``, ``sha256`` and ``size`` in bytes.  Nothing
        is visible yet; preparing again after a crash replaces what was left.

        :raises StorageError: if the files cannot be written, or a folder on the way is a link by
            now; nothing is left behind then.
        """
        stem = self._stem(report)
        writers = _writers(report, self._zone)
        written: list[str] = []
        prepared: list[dict[str, Any]] = []
        try:
            with Folder.make(str(folder), any_names=True) as place:
                try:
                    stem = _free_stem(place, stem, tuple(writers))
                    for suffix, write in writers.items():
                        name = f"{stem}{suffix}"
                        temporary = f".{name}.hivekeep-part"
                        # Only a crash leaves one; it is removed and never opened.
                        place.remove(temporary)
                        descriptor = place.create(temporary)
                        written.append(temporary)
                        sha256, size = _write(descriptor, write)
                        prepared.append(
                            {
                                "temporary": str(folder / temporary),
                                "target": str(folder / name),
                                "sha256": sha256,
                                "size": size,
                            }
                        )
                    place.sync()
                except OSError:
                    for name in written:
                        with suppress(OSError):
                            place.remove(name)
                    raise
        except OSError as error:
            raise _refused(folder, error) from error
        return prepared

    def publish(self, prepared: dict[str, Any]) -> Path:
        """Make one prepared file visible and return where it is.

        That is its target, or the target with a number if another file took the name meanwhile.
        Calling it again after a crash is harmless.

        :raises StorageError: if that fails, if a folder on the way was replaced by a link, or if
            the temporary file was removed or changed.
        """
        temporary, target = Path(prepared["temporary"]), Path(prepared["target"])
        try:
            with Folder.open(str(target.parent)) as folder:
                try:
                    descriptor = folder.open_file(temporary.name)
                except FileNotFoundError:
                    return target.with_name(_published_before(folder, prepared, target))
                try:
                    if _digest(descriptor)[0] != prepared["sha256"]:
                        raise _tampered(temporary)
                    name = _place(folder, descriptor, temporary.name, target, prepared["sha256"])
                finally:
                    os.close(descriptor)
                folder.remove(temporary.name)
                folder.sync()
        except OSError as error:
            raise _refused(target.parent, error) from error
        return target.with_name(name)

    def _stem(self, report: RunReport) -> str:
        moment = report.finished.astimezone(self._zone)
        return file_name(f"{report.recipe} {moment:%Y-%m-%d %H%M} {report.run[:8]}.x")[:-2]


def _writers(report: RunReport, zone: tzinfo | None) -> dict[str, Callable[[IO[bytes]], object]]:
    def workbook(file: IO[bytes]) -> None:
        # Imported here: whoever only puts files in place does not load a spreadsheet library.
        from hivekeep.deliverables.workbook import write_workbook

        write_workbook(
            build_sheets(report, zone),
            file,
            title=cell_text(one_line(report.title or report.recipe, 200)),
            created=report.finished,
        )

    writers: dict[str, Callable[[IO[bytes]], object]] = {
        ".xlsx": workbook,
        ".json": lambda file: file.write(report_json(report)),
    }
    if has_prose(report):
        writers[".md"] = lambda file: file.write(report_markdown(report))
    return writers


def _write(descriptor: int, write: Callable[[IO[bytes]], object]) -> tuple[str, int]:
    """Hash and size of what ``write`` has written, durable by then; closes the descriptor."""
    with os.fdopen(descriptor, "w+b") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
        return _digest(file.fileno())


def _free_stem(folder: Folder, stem: str, suffixes: tuple[str, ...]) -> str:
    """A stem that no file with any of the suffixes has, numbered if need be."""
    for numbered in _numbered(stem):
        if all(folder.identity(f"{numbered}{suffix}") is None for suffix in suffixes):
            return numbered
    raise FileExistsError(errno.EEXIST, f"there are too many files called '{stem}'")


def _numbered(stem: str) -> Iterator[str]:
    yield stem
    for number in range(2, _MOST_NAMES):
        yield f"{stem} ({number})"


def _candidates(target: Path) -> Iterator[str]:
    return (f"{stem}{target.suffix}" for stem in _numbered(target.stem))


def _place(folder: Folder, descriptor: int, temporary: str, target: Path, sha256: str) -> str:
    """Give the open file a visible name that was free."""
    for candidate in _candidates(target):
        try:
            folder.place(descriptor, temporary, candidate)
        except FileExistsError:
            if _holds(folder, candidate, sha256):
                return candidate
        else:
            return candidate
    raise FileExistsError(errno.EEXIST, f"there are too many files called '{target.name}'")


def _published_before(folder: Folder, prepared: dict[str, Any], target: Path) -> str:
    for candidate in _candidates(target):
        if folder.identity(candidate) is None:
            break
        if _holds(folder, candidate, prepared["sha256"]):
            return candidate
    raise StorageError(
        f"'{target.name}' could not be put in place.",
        why="Its temporary file was removed by someone else.",
        next_step="'hivekeep runs resume' writes it again.",
    )


def _holds(folder: Folder, name: str, sha256: str) -> bool:
    """Whether ``name`` is a regular file of this content; a link is none."""
    try:
        descriptor = folder.open_file(name)
    except OSError:
        return False
    try:
        return _digest(descriptor)[0] == sha256
    finally:
        os.close(descriptor)


def _digest(descriptor: int) -> tuple[str, int]:
    """SHA-256 and size of an open file, from its beginning."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return digest, file.tell()


def _tampered(temporary: Path) -> StorageError:
    return StorageError(
        f"'{temporary.name}' is not what Hivekeep wrote.",
        why="It was changed between writing and putting it in place.",
        next_step="'hivekeep runs resume' writes it again.",
    )


def _refused(folder: Path, error: OSError) -> StorageError:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            next_step = "Free some disk space, then 'hivekeep runs resume' goes on."
        case errno.EROFS | errno.EACCES | errno.EPERM:
            next_step = "Allow writing there, or choose another folder for the results."
        case errno.ENOTDIR | errno.EEXIST:
            next_step = "Choose another folder for the results."
        case errno.ELOOP | errno.EXDEV | errno.ESTALE:
            next_step = "Find out who changed it; 'hivekeep runs resume' then writes it again."
        case _:
            next_step = "Remove the cause, then 'hivekeep runs resume' goes on."
    return StorageError(
        f"The results could not be written into '{folder}'.",
        why=f"{error.strerror or error}.",
        next_step=next_step,
    )
