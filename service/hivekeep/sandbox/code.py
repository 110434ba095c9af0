"""Runs code that an agent wrote, in a room with nothing in it but a work folder.

Responsible for the limits that only somebody outside can hold (time, total memory, number of
processes, size of the work folder, length of output) and for telling how the code ended; the room
is ``sandbox.launch``'s.  Invariant: when :func:`run_code` returns or is cancelled, no process of
the code is left.

Linux only; on macOS and Windows there is no such room yet, and nothing is run.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path

import anyio
import psutil
from anyio.abc import ByteReceiveStream, Process

from hivekeep.sandbox import paths, system
from hivekeep.sandbox.model import SandboxError

_LOOK = 0.05
_PACKAGES = str(Path(__file__).resolve().parents[2])
_KEPT = ("LANG", "LC_ALL", "LC_CTYPE")


class Language(StrEnum):
    """What can be run."""

    PYTHON = "python"
    SHELL = "shell"


class Ended(StrEnum):
    """How the code ended."""

    DONE = "done"
    FAILED = "failed"
    TIME = "time"
    MEMORY = "memory"
    PROCESSES = "processes"
    DISK = "disk"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class CodeLimits:
    """What one execution may use. Sizes are bytes, ``memory`` is that of all its processes."""

    seconds: float = 30.0
    memory: int = 1024**3
    processes: int = 32
    file_size: int = 64 * 1024**2
    disk: int = 256 * 1024**2
    files: int = 5_000
    output: int = 256 * 1024


@dataclass(frozen=True, slots=True)
class CodeResult:
    """What the code said and how it ended.

    ``status`` is its exit code, 128 and a signal's number if it was killed.  ``files`` are the
    regular files in the work folder afterwards, relative to it.  ``held`` names the protections
    that it ran under.
    """

    ended: Ended
    status: int
    output: str
    errors: str
    files: tuple[str, ...]
    held: tuple[str, ...]


async def run_code(
    code: str,
    language: Language,
    work: Path,
    *,
    limits: CodeLimits | None = None,
    packages: Iterable[str] = (),
    required: Iterable[str] = (),
) -> CodeResult:
    """Run ``code`` with ``work`` as its only writable folder and no network.

    :param work: an existing, resolved folder; nothing else of the user's is visible.
    :param packages: distributions that Python code may import besides the standard library.
    :param required: protections without which nothing is run.
    :raises SandboxError: if the code could not be confined as required; then it was not run.
    """
    if not system.LINUX:
        raise _unusable("there is a room for code on Linux only")
    limits = limits or CodeLimits()
    site, shown = _packages(packages)
    order = {
        "command": _command(code, language),
        "read": [*paths.interpreter(), *shown],
        "packages": [site] if site else [],
        "work": str(work),
        "scratch": limits.file_size,
        "environment": _environment(site),
        "memory": limits.memory,
        "cpu_seconds": int(limits.seconds) + 1,
        "file_size": limits.file_size,
        "processes": limits.processes,
        "required": sorted(set(required)),
    }
    return await _run(order, work, limits)


async def _run(order: dict[str, object], work: Path, limits: CodeLimits) -> CodeResult:
    ours, theirs = os.pipe()
    try:
        process = await anyio.open_process(
            [sys.executable, "-P", "-m", "hivekeep.sandbox.launch", str(os.getpid()), str(theirs)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            pass_fds=(theirs,), start_new_session=True, cwd="/",
            env={"PYTHONPATH": _PACKAGES, "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
    finally:
        os.close(theirs)
    with os.fdopen(ours, "rb") as status:
        watch = _Watch(process, work, limits)
        try:
            assert process.stdin is not None
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                await process.stdin.send(json.dumps(order).encode())
                await process.stdin.aclose()
            await watch.until_it_ends()
        finally:
            _kill(process)
            with anyio.CancelScope(shield=True):
                code = await process.wait()
                await process.aclose()
        said = await anyio.to_thread.run_sync(status.read)
    told = json.loads(said) if said else {"error": "it ended without a word"}
    if "error" in told and not watch.reason:
        raise _unusable(told["error"])
    files = tuple(sorted(_files(work)[2]))
    ended = watch.reason or (Ended.DONE if code == 0 else Ended.FAILED)
    held = tuple(told.get("held", ()))
    return CodeResult(ended, code, watch.output.text(), watch.errors.text(), files, held)


class _Captured:
    """The beginning of a stream, at most ``most`` bytes of it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._data = bytearray()
        self.over = False

    def take(self, chunk: bytes) -> None:
        room = self._most - len(self._data)
        self._data += chunk[:room]
        self.over = self.over or len(chunk) > room

    def text(self) -> str:
        text = self._data.decode("utf-8", "replace")
        return text + ("\n[shortened]" if self.over else "")


class _Watch:
    """Reads what the code says and looks at what it uses until it ends or uses too much."""

    def __init__(self, process: Process, work: Path, limits: CodeLimits) -> None:
        self._process = process
        self._work = work
        self._limits = limits
        self.reason: Ended | None = None
        self.output = _Captured(limits.output)
        self.errors = _Captured(limits.output)

    async def until_it_ends(self) -> None:
        """Return when the process has ended or has to be killed."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        with anyio.move_on_after(self._limits.seconds) as timeout:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._listen, self._process.stdout, self.output)
                tasks.start_soon(self._listen, self._process.stderr, self.errors)
                tasks.start_soon(self._look)
                await self._process.wait()
                self._stop()
                tasks.cancel_scope.cancel()
        if timeout.cancelled_caught:
            self.reason = self.reason or Ended.TIME

    def _stop(self, reason: Ended | None = None) -> None:
        self.reason = self.reason or reason
        _kill(self._process)

    async def _listen(self, stream: ByteReceiveStream, captured: _Captured) -> None:
        with suppress(anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            while True:
                captured.take(await stream.receive())
                if captured.over:
                    self._stop(Ended.OUTPUT)

    async def _look(self) -> None:
        limits = self._limits
        while True:
            count, memory = await anyio.to_thread.run_sync(_usage, self._process.pid)
            # Ours are two: the launcher and the first process of the namespace.
            if count > limits.processes + 2:
                self._stop(Ended.PROCESSES)
            elif memory > limits.memory:
                self._stop(Ended.MEMORY)
            size, number, _ = await anyio.to_thread.run_sync(_files, self._work, limits)
            if size > limits.disk or number > limits.files:
                self._stop(Ended.DISK)
            await anyio.sleep(_LOOK)


def memory_below(pid: int) -> int:
    """Bytes of memory of the process ``pid`` and all below it; 0 if it has ended."""
    return _usage(pid)[1]


def size_below(folder: Path) -> int:
    """Bytes on disk of all that lies in ``folder``."""
    return _files(folder)[0]


def _usage(pid: int) -> tuple[int, int]:
    """How many processes there are below ``pid`` with it, and their memory."""
    count = memory = 0
    with suppress(psutil.Error):
        launcher = psutil.Process(pid)
        for process in (launcher, *launcher.children(recursive=True)):
            with suppress(psutil.Error):
                count, memory = count + 1, memory + int(process.memory_info().rss)
    return count, memory


def _files(work: Path, limits: CodeLimits | None = None) -> tuple[int, int, list[str]]:
    """Size and number of what is in the work folder, and the names of its regular files."""
    size = number = 0
    names: list[str] = []
    for root, _folders, files in os.walk(work):
        for name in (*files, *_folders):
            number += 1
            with suppress(OSError):
                found = os.lstat(os.path.join(root, name))  # noqa: PTH118 - one for every file
                size += found.st_blocks * 512
                if stat.S_ISREG(found.st_mode):
                    names.append(os.path.relpath(os.path.join(root, name), work))  # noqa: PTH118
            if limits and (number > limits.files or size > limits.disk):
                return size, number, names
    return size, number, names


def _kill(process: Process) -> None:
    """End the launcher, with it the namespace's first process, and with that everything."""
    with suppress(ProcessLookupError, PermissionError):
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)


def _command(code: str, language: Language) -> Sequence[str]:
    if language is Language.SHELL:
        return ["/bin/sh", "-c", code]
    python = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    # -S: no site packages but those named; -B: nothing is written beside them.
    return [python, "-B", "-S", "-P", "-c", code]


def _environment(site: str) -> dict[str, str]:
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    environment |= {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return environment | ({"PYTHONPATH": site} if site else {})


def _packages(names: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """The folder that packages lie in, and the parts of it that belong to those named.

    :raises SandboxError: if one is not installed.
    """
    site, parts = "", set()
    for name in names:
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError as error:
            raise _unusable(f"the package '{name[:80]}' is not installed") from error
        site = str(found.locate_file(""))
        parts |= {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "")}
    return site, tuple(str(Path(site) / part) for part in sorted(parts))


def _unusable(why: str) -> SandboxError:
    return SandboxError(
        "The code was not run, because it could not be confined.",
        why=f"{why}.",
        next_step="'hivekeep doctor' says which protections are active here.",
    )
