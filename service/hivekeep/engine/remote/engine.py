"""The remote backend: the engine's protocol, spoken to an OpenAI-compatible server.

Responsible for limits by host, retries and for turning every outcome into events; the bytes are
``connections``'.  Invariant: no byte is sent before the permit was asked for this very request.
"""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio
from anyio.abc import TaskGroup

from hivekeep.domain.errors import EngineError, HivekeepError
from hivekeep.domain.inference import (
    EngineEvent,
    FailEvent,
    FinishEvent,
    GenerateRequest,
    RestartEvent,
    TokenEvent,
)
from hivekeep.engine.protocol import EngineState, EngineStatus
from hivekeep.engine.remote.chat import BadReplyError, Reply, body_of
from hivekeep.engine.remote.models import RemoteModel
from hivekeep.engine.remote.retry import PassingError, after_failure, since_epoch
from hivekeep.engine.streaming import Listener, events_of, only_answer, tell
from hivekeep.engine.tally import Tally

if TYPE_CHECKING:
    from hivekeep.engine.remote.connections import Connections

# Asked with the model and the request before anything is sent; raises if it may not be.
Permit = Callable[[RemoteModel, GenerateRequest], Awaitable[None]]


class RemoteEngine:
    """Models of other machines; use it as an async context manager.

    :param find: the remote model of a name.
    :param permit: asked before every connection.
    :param key: the key for a model's server; ``None`` if it needs none.
    """

    def __init__(
        self,
        find: Callable[[str], RemoteModel],
        permit: Permit,
        key: Callable[[RemoteModel], str | None],
        *,
        on_change: Callable[[], None] = lambda: None,
        chance: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._find = find
        self._permit = permit
        self._key = key
        self._on_change = on_change
        self._chance = chance
        self._sleep = sleep
        self._tally = Tally()
        self._connections: Connections | None = None
        self._limits: dict[str, anyio.CapacityLimiter] = {}
        self._scopes: dict[str, anyio.CancelScope] = {}
        self._tasks: TaskGroup | None = None
        self._last_model = ""
        self.retries = 0

    async def __aenter__(self) -> Self:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        assert self._tasks is not None
        self._tasks.cancel_scope.cancel()
        try:
            return await self._tasks.__aexit__(kind, error, trace)
        finally:
            if self._connections is not None:
                with anyio.CancelScope(shield=True):
                    await self._connections.close()

    def generate(self, requests: Sequence[GenerateRequest]) -> AsyncIterator[EngineEvent]:
        """See :class:`hivekeep.engine.protocol.Engine`."""
        return events_of(requests, lambda _: self, self._tally)

    async def complete(self, request: GenerateRequest) -> FinishEvent:
        """See :class:`hivekeep.engine.protocol.Engine`."""
        return await only_answer(self.generate([request]))

    def status(self) -> EngineStatus:
        """See :class:`hivekeep.engine.protocol.Engine`."""
        if not self._scopes:
            return EngineStatus(usage=self._tally.runs())
        active = sum(limit.borrowed_tokens for limit in self._limits.values())
        return EngineStatus(
            state=EngineState.READY,
            model=self._last_model,
            active=int(active),
            waiting=max(len(self._scopes) - int(active), 0),
            usage=self._tally.runs(),
        )

    def submit(self, request: GenerateRequest, listener: Listener) -> None:
        """See :class:`hivekeep.engine.streaming.Backend`."""
        if self._tasks is None:
            raise RuntimeError("RemoteEngine is not open")
        self._last_model = request.model
        self._scopes[request.id] = scope = anyio.CancelScope()
        self._tasks.start_soon(self._serve, request, listener, scope)

    def give_up(self, request: GenerateRequest) -> None:
        """See :class:`hivekeep.engine.streaming.Backend`."""
        scope = self._scopes.get(request.id)
        if scope is not None:
            scope.cancel()

    async def _serve(
        self, request: GenerateRequest, listener: Listener, scope: anyio.CancelScope
    ) -> None:
        try:
            with scope:
                remote = self._find(request.model)
                if request.adapter:
                    raise EngineError(
                        "A remote model cannot use a recipe's adapter.",
                        next_step="Let the server load it, and name it as a model of its own.",
                    )
                async with self._limit(remote):
                    tell(listener, await self._answer(remote, request, listener))
        except HivekeepError as error:
            tell(listener, FailEvent(request.id, error.what, error.why, error.next_step))
        finally:
            if self._scopes.get(request.id) is scope:
                del self._scopes[request.id]
            self._on_change()

    async def _answer(
        self, remote: RemoteModel, request: GenerateRequest, listener: Listener
    ) -> FinishEvent:
        attempt, begun = 0, time.monotonic()
        while True:
            attempt += 1
            reply = Reply(request)
            try:
                await self._permit(remote, request)
                await self._stream(remote, reply, listener)
                return reply.finish(time.monotonic() - begun)
            except (PassingError, BadReplyError) as error:
                headers = error.headers if isinstance(error, PassingError) else {}
                again = after_failure(
                    attempt, remote.attempts, headers, chance=self._chance(), now=since_epoch()
                )
                if again is None:
                    raise _given_up(remote, attempt, error) from error
            self.retries += 1
            if reply.text:
                tell(listener, RestartEvent(request.id))
            await self._sleep(again.seconds)

    async def _stream(self, remote: RemoteModel, reply: Reply, listener: Listener) -> None:
        key = await anyio.to_thread.run_sync(self._key, remote)
        async for data in self._open().events(remote, body_of(reply.request, remote), key):
            text = reply.take(data)
            if text:
                tell(listener, TokenEvent(reply.request.id, text))

    def _open(self) -> Connections:
        if self._connections is None:
            # Imported with the first remote request: most daemons never make one.
            from hivekeep.engine.remote.connections import Connections

            self._connections = Connections()
        return self._connections

    def _limit(self, remote: RemoteModel) -> anyio.CapacityLimiter:
        limit = self._limits.get(remote.address)
        if limit is None:
            limit = self._limits[remote.address] = anyio.CapacityLimiter(remote.host_limit)
        limit.total_tokens = remote.host_limit
        return limit


def _given_up(remote: RemoteModel, attempts: int, error: Exception) -> EngineError:
    return EngineError(
        f"The server of '{remote.name}' did not answer.",
        why=f"{remote.host}: {str(error) or type(error).__name__}. It was tried {attempts} times.",
        next_step=f"hivekeep models remote test {remote.name}",
    )
