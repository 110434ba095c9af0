"""One engine over several: each request goes to whoever has its model.

Responsible for the choice between this machine and remote servers, by the model's name alone.
Invariant: a model that is not declared as remote is never sent anywhere.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

from hivekeep.domain.inference import EngineEvent, FinishEvent, GenerateRequest
from hivekeep.domain.runs import Usage
from hivekeep.engine.local import LocalEngine
from hivekeep.engine.protocol import EngineStatus
from hivekeep.engine.remote import RemoteEngine
from hivekeep.engine.streaming import Backend, events_of, only_answer
from hivekeep.engine.tally import Tally


class EngineRouter:
    """The engine of a profile.

    :param is_remote: whether a model of that name is declared as remote.
    """

    def __init__(
        self, local: LocalEngine, remote: RemoteEngine, is_remote: Callable[[str], bool]
    ) -> None:
        self._local = local
        self._remote = remote
        self._is_remote = is_remote
        self._tally = Tally()

    def generate(self, requests: Sequence[GenerateRequest]) -> AsyncIterator[EngineEvent]:
        """See :class:`hivekeep.engine.protocol.Engine`."""
        return events_of(requests, self._backend, self._tally)

    async def complete(self, request: GenerateRequest) -> FinishEvent:
        """See :class:`hivekeep.engine.protocol.Engine`."""
        return await only_answer(self.generate([request]))

    def status(self) -> EngineStatus:
        """See :class:`hivekeep.engine.protocol.Engine`."""
        here, there = self._local.status(), self._remote.status()
        busiest = here if here.active + here.waiting >= there.active + there.waiting else there
        return replace(
            here,
            state=busiest.state,
            model=busiest.model,
            active=here.active + there.active,
            waiting=here.waiting + there.waiting,
            usage=self._tally.runs(),
        )

    def usage(self, run: str) -> dict[str, Usage]:
        """What each agent of a recent run has used."""
        return self._tally.agents(run)

    def _backend(self, request: GenerateRequest) -> Backend:
        return self._remote if self._is_remote(request.model) else self._local
