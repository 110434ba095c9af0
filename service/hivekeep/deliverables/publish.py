"""Puts a report's files where the user finds them, in two steps around the journal.

Responsible for durable, hidden temporary files and for making them visible exactly once; not for
what is in them.  Invariant: a file that we did not write is never overwritten, and repeating either
step after a crash leaves one complete set of files.
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

_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
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

        Each description holds ``temporary``, ``target``, ``sha256`` and ``size`` in bytes.  Nothing
        is visible yet; preparing again after a crash replaces what was left.

        :raises StorageError: if the files cannot be written; nothing is left behind then.
        """
        stem = self._stem(report)
        writers = _writers(report, self._zone)
        written: list[Path] = []
        prepared: list[dict[str, Any]] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
            targets = _free_targets(folder, stem, tuple(writers))
            for suffix, target in targets.items():
                temporary = target.with_name(f".{target.name}.hivekeep-part")
                # Only a crash leaves one; opening it anew would follow a link in its place.
                temporary.unlink(missing_ok=True)
                written.append(temporary)
                with temporary.open("xb") as file:
                    writers[suffix](file)
                    file.flush()
                    os.fsync(file.fileno())
                sha256, size = _digest(temporary)
                prepared.append(
                    {
                        "temporary": str(temporary),
                        "target": str(target),
                        "sha256": sha256,
                        "size": size,
                    }
                )
            _sync_folder(folder)
        except OSError as error:
            for path in written:
                with suppress(OSError):
                    path.unlink(missing_ok=True)
            raise _refused(folder, error) from error
        return prepared

    def publish(self, prepared: dict[str, Any]) -> Path:
        """Make one prepared file visible and return where it is.

        That is its target, or the target with a number if another file took the name meanwhile.
        Calling it again after a crash is harmless.

        :raises StorageError: if that fails, or if the temporary file was removed or changed.
        """
        temporary, target = Path(prepared["temporary"]), Path(prepared["target"])
        try:
            if not temporary.exists():
                return _published_before(prepared, target)
            if _digest(temporary)[0] != prepared["sha256"]:
                raise _tampered(temporary)
            place = _place(temporary, target, prepared["sha256"])
            temporary.unlink(missing_ok=True)
            _sync_folder(target.parent)
        except OSError as error:
            raise _refused(target.parent, error) from error
        return place

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


def _free_targets(folder: Path, stem: str, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """Targets that share one stem, numbered if any of them is taken."""
    for numbered in _numbered(stem):
        targets = {suffix: folder / f"{numbered}{suffix}" for suffix in suffixes}
        if not any(os.path.lexists(target) for target in targets.values()):
            return targets
    raise FileExistsError(errno.EEXIST, f"there are too many files called '{stem}'")


def _numbered(stem: str) -> Iterator[str]:
    yield stem
    for number in range(2, _MOST_NAMES):
        yield f"{stem} ({number})"


def _candidates(target: Path) -> Iterator[Path]:
    return (target.with_name(f"{stem}{target.suffix}") for stem in _numbered(target.stem))


def _place(temporary: Path, target: Path, sha256: str) -> Path:
    """Give ``temporary`` a second, visible name that was free; the first one stays."""
    for candidate in _candidates(target):
        try:
            _link(temporary, candidate)
        except FileExistsError:
            if _holds(candidate, sha256):
                return candidate
        else:
            return candidate
    raise FileExistsError(errno.EEXIST, f"there are too many files called '{target.name}'")


def _link(temporary: Path, target: Path) -> None:
    try:
        target.hardlink_to(temporary)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # This file system has no links: take the name with an empty file of our own, replace that.
        with target.open("xb"):
            pass
        temporary.replace(target)


def _published_before(prepared: dict[str, Any], target: Path) -> Path:
    for candidate in _candidates(target):
        if not os.path.lexists(candidate):
            break
        if _holds(candidate, prepared["sha256"]):
            return candidate
    raise StorageError(
        f"'{target.name}' could not be put in place.",
        why="Its temporary file was removed by someone else.",
        next_step="'hivekeep runs resume' writes it again.",
    )


def _holds(path: Path, sha256: str) -> bool:
    return path.is_file() and not path.is_symlink() and _digest(path)[0] == sha256


def _digest(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return digest, file.tell()


def _sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # network file systems
            raise
    finally:
        os.close(descriptor)


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
        case _:
            next_step = "Remove the cause, then 'hivekeep runs resume' goes on."
    return StorageError(
        f"The results could not be written into '{folder}'.",
        why=f"{error.strerror or error}.",
        next_step=next_step,
    )
