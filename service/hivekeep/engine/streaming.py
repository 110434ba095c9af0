"""From requests to one stream of events, whoever answers them.

Responsible for matching events to open requests, for deadlines, and for giving up what nobody
listens to any more.  Invariant: every request ends with exactly one finish or failure, unless the
iterator is closed before.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

import anyio
from anyio.streams.memory import MemoryObjectSendStream

from hivekeep.domain.errors import EngineError
from hivekeep.domain.inference import EngineEvent, FailEvent, FinishEvent, GenerateRequest
from hivekeep.engine.tally import Tally

Listener = MemoryObjectSendStream[EngineEvent]


class Backend(Protocol):
    """Something that answers requests and says so to a listener."""

    def submit(self, request: GenerateRequest, listener: Listener) -> None:
        """Take a request on; it ends with one finish or failure."""
        ...

    def give_up(self, request: GenerateRequest) -> None:
        """Nobody waits for the answer any more."""
        ...


async def events_of(
    requests: Sequence[GenerateRequest],
    backend: Callable[[GenerateRequest], Backend],
    tally: Tally,
) -> AsyncIterator[EngineEvent]:
    """The events of ``requests``, each answered by its ``backend``, until all have ended."""
    send, receive = anyio.create_memory_object_stream[EngineEvent](math.inf)
    now = time.monotonic()
    opened = {request.id: (request, _deadline(request, now)) for request in requests}
    try:
        for request in requests:
            backend(request).submit(request, send)
        while opened:
            soonest = min(deadline for _, deadline in opened.values())
            event: EngineEvent | None = None
            with anyio.move_on_after(soonest - time.monotonic() if soonest < math.inf else None):
                event = await receive.receive()
            if event is None:
                for request in _late(opened):
                    del opened[request.id]
                    backend(request).give_up(request)
                    yield _too_late(request)
            elif event.request in opened:
                if isinstance(event, FinishEvent | FailEvent):
                    ended, _ = opened.pop(event.request)
                    if isinstance(event, FinishEvent):
                        tally.add(ended.run, ended.agent, event.usage)
                yield event
    finally:
        for request, _ in opened.values():
            backend(request).give_up(request)
        send.close()
        receive.close()


async def only_answer(events: AsyncIterator[EngineEvent]) -> FinishEvent:
    """The end of the only request whose ``events`` these are.

    :raises EngineError: if it failed.
    """
    try:
        async for event in events:
            if isinstance(event, FinishEvent):
                return event
            if isinstance(event, FailEvent):
                raise EngineError(event.what, why=event.why, next_step=event.next_step)
    finally:
        await events.aclose()  # type: ignore[attr-defined]
    raise EngineError("The engine ended without an answer.")


def tell(listener: Listener, event: EngineEvent) -> None:
    """Say it, unless nobody listens any more."""
    try:
        listener.send_nowait(event)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        return


def _deadline(request: GenerateRequest, now: float) -> float:
    return math.inf if request.deadline_seconds is None else now + request.deadline_seconds


def _late(opened: dict[str, tuple[GenerateRequest, float]]) -> list[GenerateRequest]:
    now = time.monotonic()
    return [request for request, deadline in opened.values() if deadline <= now]


def _too_late(request: GenerateRequest) -> FailEvent:
    return FailEvent(
        request.id,
        "The request's deadline passed before it was answered.",
        f"It had {request.deadline_seconds:g} s.",
        "Allow more time, or run less at once.",
    )
