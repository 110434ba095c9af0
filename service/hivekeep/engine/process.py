"""One worker process: started, spoken to, and ended.

Responsible for the operating system's side of a worker; what it is for is the supervisor's.
Invariant: a process that was opened here is reaped here, however its user ends.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import psutil
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from hivekeep.domain.errors import EngineError, JournalError
from hivekeep.domain.inference import GenerateRequest
from hivekeep.engine.memory import Shape
from hivekeep.engine.settings import Tuning
from hivekeep.engine.worker.wire import Cancel, WorkerMessage, command_line, parse_message

_LONGEST_LINE = 64 * 1024 * 1024
_KEPT_ENVIRONMENT = (
    "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV",
    "SYSTEMROOT", "CUDA_VISIBLE_DEVICES", "GGML_VK_VISIBLE_DEVICES",
    "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME",
)  # fmt: skip


class WorkerProcess:
    """A running worker."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @classmethod
    async def start(
        cls, model: Path, shape: Shape, tuning: Tuning, *, gpu_layers: int = 0, adapter: str = ""
    ) -> WorkerProcess:
        """Start a worker that loads ``model``.

        :raises EngineError: if the system refuses.
        """
        command = [
            sys.executable, "-m", "hivekeep.engine.worker", str(model),
            "--slots", str(shape.slots), "--context", str(shape.context),
            "--threads", str(tuning.threads), "--chunk", str(tuning.chunk),
            "--chunk-alone", str(tuning.chunk_alone), "--gpu-layers", str(gpu_layers),
            "--adapter", adapter,
        ]  # fmt: skip
        try:
            return cls(await anyio.open_process(command, stderr=None, env=worker_environment()))
        except OSError as error:
            raise EngineError("The engine worker could not be started.", why=str(error)) from error

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    async def send(self, command: GenerateRequest | Cancel) -> bool:
        """Give a command; false if the worker is gone."""
        assert self._process.stdin is not None
        try:
            await self._process.stdin.send(command_line(command))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            return False
        return True

    async def messages(self) -> AsyncIterator[WorkerMessage]:
        """What the worker says until it ends; one that talks nonsense is killed."""
        assert self._process.stdout is not None
        lines = BufferedByteReceiveStream(self._process.stdout)
        while True:
            try:
                message = parse_message(await lines.receive_until(b"\n", _LONGEST_LINE))
            except (anyio.IncompleteRead, anyio.ClosedResourceError, anyio.BrokenResourceError):
                return
            except (ValueError, TypeError, JournalError, anyio.DelimiterNotFound):
                self.kill()
                return
            yield message

    def kill(self) -> None:
        """End the process at once; also a stopped one ends."""
        if self._process.returncode is None:
            try:
                self._process.kill()
            except ProcessLookupError:
                return

    async def reap(self) -> int:
        """Wait for the end, which is forced after five seconds; the exit status."""
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(5):
                await self._process.wait()
            self.kill()
            code = await self._process.wait()
            await self._process.aclose()
        return code

    def rss(self) -> int:
        """Resident memory in bytes."""
        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.Error:
            return 0


def cause_of_death(code: int) -> str:
    """What an exit status means, as a sentence."""
    if code == -9:
        return "It was killed, perhaps by the system for want of memory."
    if code < 0:
        return f"It was ended by signal {-code}."
    return f"It ended with status {code}."


def worker_environment() -> dict[str, str]:
    """What a worker may see of our environment: nothing that could hold a secret or a proxy."""
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    # Threads that wait for one another spin for microseconds, then sleep: spinning on costs most of
    # the speed on a machine that does other things too, and sleeping at once a quarter of it on one
    # that does not (docs/engine.md has the numbers).
    return {"GOMP_SPINCOUNT": "1000", "KMP_BLOCKTIME": "0", **kept}
