"""Policy that changes while work is under way.

Responsible for noticing the change and for stopping what may not go on; each new action is judged
by the gate anyway.  Invariant: within two seconds of a change no run or agent that the policy now
denies is doing anything; what the policy would only ask about goes on, since it was asked before.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import anyio

from hivekeep.daemon.changes import Changes
from hivekeep.domain.actions import Action, ActionKind, Decision, Effect
from hivekeep.domain.errors import HivekeepError, PolicyDeniedError
from hivekeep.domain.fields import Plan, PlanKind
from hivekeep.policy import Policy, PolicyHolder
from hivekeep.swarm.events import RunRecord

logger = logging.getLogger(__name__)

_WORKING_SECONDS = 0.5
_IDLE_SECONDS = 3600.0
_MINUTES = "runs.max_minutes"


class LiveRuns(Protocol):
    """The runs under way, and the way to stop them."""

    @property
    def starts(self) -> int:
        """How often any run was started, so that one that is resumed is judged again."""
        ...

    @property
    def live(self) -> tuple[RunRecord, ...]:
        """The runs that are being executed now."""
        ...

    async def withdraw(self, run: str, error: HivekeepError, agent: str = "") -> None:
        """Stop a run, or one of its agents."""
        ...


@dataclass(slots=True)
class Enforcement:
    """Judges running work again whenever the policy has changed or a run was started.

    :param use_of: what using a plan's recipe means to policy now; ``None`` if it is gone, which
        counts as a recipe that nobody has signed.
    :param resolve: a path without symbolic links.
    """

    policy: PolicyHolder
    runs: LiveRuns
    changes: Changes
    use_of: Callable[[Plan, Policy], Action | None]
    resolve: Callable[[str], str]
    clock: Callable[[], float] = time.time
    _judged: tuple[Policy | None, int] = field(default=(None, 0), init=False)

    async def serve(self) -> None:
        """Look twice a second while there is work, and not at all while there is none."""
        seen = -1
        while True:
            if self.runs.live:
                await anyio.sleep(_WORKING_SECONDS)
            else:
                seen = await self.changes.wait(seen, at_most=_IDLE_SECONDS)
            await self.check()

    async def check(self) -> None:
        """Stop what takes too long, and, if anything has changed, what the policy now denies."""
        policy = self.policy.current()
        now = (policy, self.runs.starts)
        if now != self._judged:
            self._judged = now
            await self._stop_denied(policy)
        await self._end_overdue(policy)

    async def _stop_denied(self, policy: Policy) -> None:
        for record in self.runs.live:
            found = await anyio.to_thread.run_sync(self._denials, policy, record)
            for agent, decision in found:
                logger.warning("stopped by policy: %s %s: %s", record.id, agent, decision.reason)
                await self.runs.withdraw(record.id, _refusal(decision), agent)

    async def _end_overdue(self, policy: Policy) -> None:
        limit = policy.settings.runs.max_minutes
        if limit is None:
            return
        source = next((row.source for row in policy.rows() if row.key == _MINUTES), "")
        for record in self.runs.live:
            if record.minutes(self.clock()) >= limit:
                logger.warning("stopped after %d minutes: %s", limit, record.id)
                await self.runs.withdraw(record.id, _too_long(limit, source))

    def _denials(self, policy: Policy, record: RunRecord) -> list[tuple[str, Decision]]:
        """What is denied: the run itself, under the name "", or some of its agents."""
        for action in self._of_run(policy, record):
            decision = policy.decide(action)
            if decision.effect is Effect.DENY:
                return [("", decision)]
        return [
            (agent, decision)
            for agent, action in self._of_agents(record)
            if (decision := policy.decide(action)).effect is Effect.DENY
        ]

    def _of_run(self, policy: Policy, record: RunRecord) -> Iterator[Action]:
        request = record.request
        plan = request.plan
        yield Action(ActionKind.START_RUN, recipe=plan.recipe, count=len(request.inputs))
        yield Action(ActionKind.USE_MODEL, model=plan.model, model_sha256=request.model_sha256)
        yield Action(ActionKind.WRITE_FILE, path=self.resolve(request.output))
        if plan.kind is not PlanKind.ASK:
            use = self.use_of(plan, policy)
            yield use or Action(ActionKind.USE_RECIPE, recipe=plan.recipe, user_recipe=True)

    def _of_agents(self, record: RunRecord) -> Iterator[tuple[str, Action]]:
        for agent in list(record.agents.values()):
            if not agent.state.ended and agent.input.path:
                path = self.resolve(agent.input.path)
                yield agent.id, Action(ActionKind.READ_FILE, path=path, size=agent.input.size)


def _too_long(limit: int, source: str) -> PolicyDeniedError:
    return PolicyDeniedError(
        f"The run took longer than the {limit} minutes that policy allows one run.",
        rule=_MINUTES,
        why=f"The rule is {_MINUTES}, from {source}. Pauses do not count.",
        next_step="Give fewer documents to one run; 'hivekeep runs rerun' keeps what is done.",
    )


def _refusal(decision: Decision) -> PolicyDeniedError:
    return PolicyDeniedError(
        f"The policy has changed and stops this: {decision.reason}",
        rule=decision.rule,
        why=f"The rule is {decision.rule}, from {decision.source}.",
        next_step="'hivekeep runs resume' goes on once the policy allows it again.",
    )
