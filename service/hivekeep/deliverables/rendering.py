"""Renders reports in a process of its own, which gives its memory back.

Responsible for that process only; what it does is ``publish``.  A workbook of 10,000 rows takes
seconds of processor time and hundreds of megabytes, which a daemon in the tray must not keep.
Invariant: whatever way the process ends, the caller gets descriptions of files or a clear error.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from hivekeep.deliverables.publish import ReportPublisher
from hivekeep.domain.errors import HivekeepError, StorageError
from hivekeep.domain.report import RunReport
from hivekeep.journal import decode, encode

_SECONDS = 900


class ChildPublisher(ReportPublisher):
    """A publisher whose ``prepare`` runs in a child process; use it where memory must not grow."""

    def prepare(self, report: RunReport, folder: Path) -> list[dict[str, Any]]:
        """See :meth:`ReportPublisher.prepare`.

        :raises StorageError: if the files cannot be written, or the process does not end well.
        """
        order = json.dumps({"folder": str(folder), "report": encode(report)}).encode()
        command = [sys.executable, "-m", "hivekeep.deliverables.rendering"]
        try:
            done = subprocess.run(  # noqa: S603 - our own interpreter and module
                command, input=order, stdout=subprocess.PIPE, timeout=_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _not_rendered(str(error)) from error
        try:
            answer = json.loads(done.stdout)
        except ValueError as error:
            raise _not_rendered(f"it ended with status {done.returncode}") from error
        if failure := answer.get("error"):
            raise StorageError(failure["what"], why=failure["why"], next_step=failure["next"])
        files: list[dict[str, Any]] = answer["files"]
        return files


def _not_rendered(why: str) -> StorageError:
    return StorageError(
        "The results could not be rendered.",
        why=f"The process that writes them failed: {why}.",
        next_step="'hivekeep runs resume' tries again; the values are in the journal.",
    )


def main() -> None:
    """Read one order from standard input and answer on standard output, in JSON."""
    order = json.load(sys.stdin)
    answer: dict[str, Any]
    try:
        report = decode(RunReport, order["report"])
        answer = {"files": ReportPublisher().prepare(report, Path(order["folder"]))}
    except HivekeepError as error:
        answer = {"error": error.as_dict()}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
