"""Which files there are, and writing a new one into the run's own folder.

Responsible for naming inputs and for writing once; not for formats.  Invariant: a file that exists
is never changed, and after a crash it can be told by name and hash whether the file was written.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from pathlib import Path
from typing import Annotated, Any

from anyio.to_thread import run_sync
from pydantic import Field

from hivekeep.domain.actions import Action, ActionKind, Label
from hivekeep.domain.errors import StorageError, ToolError
from hivekeep.domain.provenance import Origin, OriginKind, of
from hivekeep.files import Folder, name_problem, write_all
from hivekeep.tools.context import ToolContext
from hivekeep.tools.spec import Arguments, EffectClass, Happened, ToolResult, ToolSpec

_MOST_LISTED = 200
_UNSAFE = re.compile(r"[^\w\-. ()]+")
_TEXT_SUFFIXES = frozenset({".txt", ".md", ".csv", ".json"})

NewName = Annotated[str, Field(min_length=1, max_length=80)]


class ListArguments(Arguments):
    """Nothing to say."""


class ListFiles:
    """``list_files``: the documents of this run."""

    spec = ToolSpec(
        name="list_files",
        description="lists the documents of this run",
        arguments=ListArguments,
        effect=EffectClass.READ,
        # A sender chooses the names of what he sends.
        returns=Label.UNTRUSTED,
    )

    async def prepare(self, arguments: ListArguments, context: ToolContext) -> dict[str, Any]:  # noqa: ARG002
        """Nothing."""
        return {}

    async def perform(self, prepared: dict[str, Any], context: ToolContext) -> ToolResult:  # noqa: ARG002
        """Names and sizes of the documents that the agent may read."""
        names = [
            name
            for name in context.library.names
            if context.grant.may_read(context.library.input(name).path)
        ]
        sizes = [context.library.input(name).size for name in names]
        lines = [f"{name} ({size} bytes)" for name, size in zip(names, sizes, strict=True)]
        if len(lines) > _MOST_LISTED:
            lines = [*lines[:_MOST_LISTED], f"and {len(lines) - _MOST_LISTED} more"]
        origin = Origin(Label.UNTRUSTED, OriginKind.FILE_NAME, "names of the run's documents")
        return ToolResult({"files": names}, "\n".join(lines) or "(no documents)", of(origin))

    async def happened(self, prepared: dict[str, Any], context: ToolContext) -> Happened:  # noqa: ARG002
        """Listing changes nothing."""
        return Happened.NO


class WriteArguments(Arguments):
    """A new text file."""

    name: NewName
    content: Annotated[str, Field(max_length=20_000)]


class WriteFile:
    """``write_file``: a new text file in the run's output folder."""

    spec = ToolSpec(
        name="write_file",
        description="writes a new text file (.md, .txt, .csv, .json) into the results folder",
        arguments=WriteArguments,
        effect=EffectClass.WRITE,
        returns=Label.TRUSTED,
    )

    async def prepare(self, arguments: WriteArguments, context: ToolContext) -> dict[str, Any]:
        """The file's place, hash and content."""
        suffix = Path(arguments.name).suffix.lower()
        name = arguments.name if suffix in _TEXT_SUFFIXES else f"{arguments.name}.txt"
        return await prepare_new_file(name, arguments.content.encode(), context)

    async def perform(self, prepared: dict[str, Any], context: ToolContext) -> ToolResult:  # noqa: ARG002
        """Write it; harmless to repeat."""
        return await write_new_file(prepared)

    async def happened(self, prepared: dict[str, Any], context: ToolContext) -> Happened:  # noqa: ARG002
        """Whether the file is there with the content that was meant."""
        return await run_sync(was_written, prepared)


async def prepare_new_file(name: str, data: bytes, context: ToolContext) -> dict[str, Any]:
    """Describe a new file in the run's folder under a name that is still free.

    :raises ToolError: if nothing is left of the name.
    :raises PolicyDeniedError: if grant or policy forbids writing there.
    """
    target = await run_sync(_free, Path(context.output), _safe_name(name))
    context.grant.require_write(str(target))
    # What the agent has read may have chosen name and content, so the action carries its label.
    rule = await context.require(
        Action(ActionKind.WRITE_FILE, path=str(target), label=context.provenance.label)
    )
    return {
        "target": str(target),
        "sha256": hashlib.sha256(data).hexdigest(),
        "data": base64.b64encode(data).decode(),
        "size": len(data),
        "rule": rule,
    }


async def write_new_file(prepared: dict[str, Any]) -> ToolResult:
    """Write a prepared file completely and durably, or not at all.

    :raises StorageError: if the disk refuses or the name was taken meanwhile.
    """
    data = base64.b64decode(prepared["data"])
    target = Path(prepared["target"])
    await run_sync(_write, target, data, prepared["sha256"])
    written = {"path": str(target), "sha256": prepared["sha256"], "size": len(data)}
    return ToolResult(written, f"written: {target.name}", written=len(data))


def was_written(prepared: dict[str, Any]) -> Happened:
    """Whether a prepared file was written, by its content."""
    target = Path(prepared["target"])
    try:
        with Folder.open(str(target.parent)) as folder:
            return _was_written(folder, target.name, prepared["sha256"])
    except FileNotFoundError:
        return Happened.NO
    except OSError:
        return Happened.UNKNOWN


def _was_written(folder: Folder, name: str, sha256: str) -> Happened:
    if folder.identity(name) is None:
        return Happened.NO
    try:
        with os.fdopen(folder.open_file(name), "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() == sha256:
                return Happened.YES
    except OSError:
        pass
    # Written and changed by somebody since, or never ours: only a person can tell.
    return Happened.UNKNOWN


def _write(target: Path, data: bytes, sha256: str) -> None:
    part = f".{target.name}.hivekeep-part"
    try:
        with Folder.make(str(target.parent), any_names=True) as folder:
            folder.remove(part)
            descriptor = folder.create(part)
            try:
                write_all(descriptor, data)
                os.fsync(descriptor)
                folder.place(descriptor, part, target.name)
            except FileExistsError:
                if _was_written(folder, target.name, sha256) is not Happened.YES:
                    raise StorageError(
                        f"'{target.name}' appeared meanwhile and is another file.",
                        next_step="Nothing was changed; choose another name.",
                    ) from None
            finally:
                os.close(descriptor)
                folder.remove(part)
            folder.sync()
    except OSError as error:
        raise StorageError(
            f"'{target.name}' could not be written.",
            why=f"{error.strerror or error}.",
            next_step="Remove the cause, then 'hivekeep runs resume' goes on.",
        ) from error


def _safe_name(name: str) -> str:
    kept = " ".join(_UNSAFE.sub(" ", name.replace("/", " ").replace("\\", " ")).split())
    kept = kept.strip(". ")
    if problem := name_problem(kept):
        raise ToolError(f"'{name[:80]}' cannot be a file's name.", why=f"It {problem}.")
    return kept


def _free(folder: Path, name: str) -> Path:
    target = folder / name
    number = 1
    while os.path.lexists(target):
        number += 1
        target = folder / f"{Path(name).stem} ({number}){Path(name).suffix}"
    return target
