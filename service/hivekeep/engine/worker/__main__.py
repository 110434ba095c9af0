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
from collections.abc import Callable
from pathlib import Path

from hivekeep.domain.errors import EngineError
from hivekeep.domain.inference import GenerateRequest
from hivekeep.engine.worker.confinement import confine_to_model
from hivekeep.engine.worker.heartbeat import Heartbeat
from hivekeep.engine.worker.wire import (
    Cancel,
    Fatal,
    Ready,
    WorkerMessage,
    message_line,
    parse_command,
)
from hivekeep.sandbox import SandboxError


def main() -> int:
    """Load the model and serve until standard input closes."""
    options = _options()
    # Native code may print at any time; the protocol gets a descriptor of its own.
    output = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    writing = threading.Lock()

    def emit(message: WorkerMessage) -> None:
        with writing:
            output.write(message_line(message))

    try:
        confine_to_model(options.model, options.adapter, options.require)
        # Beating before the model loads: a process that is stopped meanwhile is found out too.
        heartbeat = Heartbeat(emit)
        heartbeat.busy()
        return _serve(options, emit, heartbeat)
    except (EngineError, SandboxError) as error:
        emit(Fatal(error.what, error.why, error.next_step))
    except (ImportError, OSError) as error:
        emit(Fatal("llama.cpp could not be loaded.", str(error), "Run 'hivekeep doctor'."))
    return 1


def _serve(
    options: argparse.Namespace, emit: Callable[[WorkerMessage], None], heartbeat: Heartbeat
) -> int:
    # Imported here: loading llama.cpp may fail, which has to be said through the protocol.
    from hivekeep.engine.worker.executor import Executor, ModelOptions
    from hivekeep.engine.worker.loop import Loop
    from hivekeep.engine.worker.scheduler import Scheduler

    def scheduler(slots: int, context: int) -> Scheduler:
        return Scheduler(slots, context, chunk=options.chunk, chunk_alone=options.chunk_alone)

    executor = Executor(
        options.model,
        ModelOptions(
            slots=options.slots,
            context=options.context,
            threads=options.threads,
            batch=scheduler(options.slots, options.context).largest_batch(),
            gpu_layers=options.gpu_layers,
            adapter=options.adapter,
        ),
    )
    emit(Ready(executor.slots, executor.context, options.threads, executor.gpu_layers))
    inbox: queue.SimpleQueue[GenerateRequest | Cancel | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(inbox,), daemon=True).start()
    line = scheduler(executor.slots, executor.context)
    Loop(executor, line, inbox, emit, heartbeat).run()
    executor.close()
    return 0


def _read(inbox: queue.SimpleQueue[GenerateRequest | Cancel | None]) -> None:
    try:
        for line in sys.stdin.buffer:
            inbox.put(parse_command(line))
    finally:
        inbox.put(None)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="hivekeep.engine.worker")
    parser.add_argument("model", type=Path)
    parser.add_argument("--slots", type=int, required=True)
    parser.add_argument("--context", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--require", action="append", default=[], help="a protection to insist on")
    parser.add_argument("--chunk", type=int, default=64)
    parser.add_argument("--chunk-alone", type=int, default=256)
    parser.add_argument("--gpu-layers", type=int, default=0)
    parser.add_argument("--adapter", default="")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
