"""The worker process: reads commands from standard input, writes messages to its first output.

Responsible for the process itself: it ends when its parent does, and everything that native code
prints goes to standard error.
"""

from __future__ import annotations

import argparse
import os
import queue
import sys
import threading
from pathlib import Path

from hivekeep.domain.errors import EngineError
from hivekeep.domain.inference import GenerateRequest
from hivekeep.engine.worker.wire import (
    Cancel,
    Fatal,
    Ready,
    WorkerMessage,
    message_line,
    parse_command,
)
from hivekeep.sandbox import Confinement, SandboxError, confine, paths
from hivekeep.sandbox.confine import leave_network


def main() -> int:
    """Load the model and serve until standard input closes."""
    options = _options()
    # Native code may print at any time; the protocol gets a descriptor of its own.
    output = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)

    def emit(message: WorkerMessage) -> None:
        output.write(message_line(message))

    # Imported here: loading llama.cpp may fail, which has to be said through the protocol.
    try:
        _confine(options.model, options.require)
        from hivekeep.engine.worker.executor import Executor
        from hivekeep.engine.worker.loop import Loop
        from hivekeep.engine.worker.scheduler import Scheduler

        largest = Scheduler(options.slots, options.context).largest_batch()
        executor = Executor(
            options.model, slots=options.slots, context=options.context,
            threads=options.threads, batch=largest,
        )  # fmt: skip
    except (EngineError, SandboxError) as error:
        emit(Fatal(error.what, error.why, error.next_step))
        return 1
    except (ImportError, OSError) as error:
        emit(Fatal("llama.cpp could not be loaded.", str(error), "Run 'hivekeep doctor'."))
        return 1
    emit(Ready(executor.slots, executor.context, options.threads))
    inbox: queue.SimpleQueue[GenerateRequest | Cancel | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(inbox,), daemon=True).start()
    Loop(executor, Scheduler(executor.slots, executor.context), inbox, emit).run()
    executor.close()
    return 0


def _confine(model: Path, required: list[str]) -> None:
    """Before the model file is parsed and before any thread exists: no network, files, programs.

    :raises SandboxError: if a required protection is not to be had.
    """
    leave_network()
    confine(
        Confinement(
            read=(*paths.worker(), str(model)),
            threads=True,
            # The address space holds the mapped model; its real memory was looked at before.
            memory=1 << 44,
            cpu_seconds=1 << 30,
        ),
        required=required,
    )


def _read(inbox: queue.SimpleQueue[GenerateRequest | Cancel | None]) -> None:
    for line in sys.stdin.buffer:
        inbox.put(parse_command(line))
    inbox.put(None)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="hivekeep.engine.worker")
    parser.add_argument("model", type=Path)
    parser.add_argument("--slots", type=int, required=True)
    parser.add_argument("--context", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--require", action="append", default=[], help="a protection to insist on")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
