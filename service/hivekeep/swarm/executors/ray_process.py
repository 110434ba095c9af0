"""The process that speaks with a Ray cluster: ``python -m hivekeep.swarm.executors.ray_process``.

Responsible for turning messages on standard input into Ray tasks and their ends into messages on
standard output.  It is a process of its own because Ray opens ports and takes memory that the
daemon must not.  Invariant: a task whose node dies is done again elsewhere, and each message is
answered exactly once.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

import ray

from hivekeep.swarm.executors import ray_tasks
from hivekeep.swarm.executors.frames import LENGTH, MOST, pack, unpack

# How often Ray begins a task again whose node or process died.
_RETRIES = 10


def _arguments(message: dict[str, Any]) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    match message["task"]:
        case "versions":
            return ray_tasks.versions, ()
        case "read":
            data = base64.b64decode(message["data"])
            return ray_tasks.read_bytes, (message["name"], data)
        case "check":
            return ray_tasks.check_answer, (
                message["plan"], message["document"], message["answer"], message["second"],
            )  # fmt: skip
    raise ValueError(message["task"])


async def _answer(message: dict[str, Any], reply: Callable[[dict[str, Any]], None]) -> None:
    work, arguments = _arguments(message)
    try:
        task = ray.remote(work).options(max_retries=_RETRIES)
        found = await task.remote(*arguments)
    except ray.exceptions.RayError as error:
        found = {"lost": _said(error)}
    reply({"id": message["id"], **found})


def _said(error: Exception) -> str:
    """One line; of an error on a node what happened there, not Ray's wrapping of it."""
    inner = getattr(error, "cause", None) or error
    lines = str(inner).strip().splitlines() or [""]
    return f"{type(inner).__name__}: {lines[0]}"[:300]


async def _serve(source: BinaryIO, target: BinaryIO) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), source)

    def reply(message: dict[str, Any]) -> None:
        target.write(pack(message))
        target.flush()

    reply({"ready": True})
    async with asyncio.TaskGroup() as tasks:
        while True:
            try:
                (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
                body = await reader.readexactly(min(length, MOST))
            except asyncio.IncompleteReadError:
                # The daemon has gone, and with it everybody who waits for an answer.
                os._exit(0)
            tasks.create_task(_answer(unpack(body), reply))


def main() -> None:
    """Connect, say so, and serve until the daemon closes the pipe."""
    # Ray prints to standard output: keep that apart from the messages.
    target = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        ray.init(address=sys.argv[1], log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:
        target.write(pack({"lost": _said(error)}))
        target.flush()
        raise SystemExit(1) from error
    asyncio.run(_serve(sys.stdin.buffer, target))


if __name__ == "__main__":
    main()
