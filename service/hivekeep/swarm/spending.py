"""What a run and its agents have used, may use, and are about to use.

Responsible for refusing a step that nothing is left for, and for the time that a step may take.
Invariant: steps under way count as well, so that the bounds hold however many agents are at work:
steps, calls and bytes exactly, tokens and seconds to within one step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import anyio

from hivekeep.domain.budgets import Budget, Spent
from hivekeep.domain.errors import BudgetError
from hivekeep.swarm.events import AgentRecord, RunRecord

_RUN, _AGENT = "run", "sub-agent"


class Spending:
    """The accounts of one run in this process.

    :param most: what any run may use at most, besides what its recipe says.
    :param monotonic: a clock that nobody can set, in seconds.
    """

    def __init__(self, record: RunRecord, most: Budget, monotonic: Callable[[], float]) -> None:
        limits = record.request.plan.limits
        self._record = record
        self._of_run = limits.run.within(most)
        self._of_agent = limits.agent
        self._monotonic = monotonic
        self._begun = monotonic()
        # Earlier lives of the run count as well.
        self._before = record.spent.seconds
        self._open: dict[str, Spent] = {}
        self._ended = anyio.Event()

    @property
    def counts_tokens(self) -> bool:
        """Whether tokens are bounded at all."""
        return self._of_run.tokens is not None or self._of_agent.tokens is not None

    def elapsed(self) -> float:
        """Seconds for which the run has been under way, in all its lives."""
        return self._before + self._monotonic() - self._begun

    async def admit(self, agent: str, owner: AgentRecord | None, expects: Spent) -> None:
        """Wait until the step may begin.

        A call whose tokens may not be left any more waits for those under way, which may take
        fewer than they could.

        :raises BudgetError: if the agent or the run has nothing left for it.
        """
        while self._refuse(agent, owner, expects):
            await self._ended.wait()

    @contextmanager
    def open(self, agent: str, expects: Spent) -> Iterator[None]:
        """A step is under way."""
        counted = expects + Spent(steps=1)
        for account in {_RUN, agent}:
            self._open[account] = self._open.get(account, Spent()) + counted
        try:
            yield
        finally:
            for account in {_RUN, agent}:
                self._open[account] = self._open[account] - counted
            self._ended.set()
            self._ended = anyio.Event()

    @contextmanager
    def in_time(self, agent: str) -> Iterator[None]:
        """Cut what is done here when the time of the run or the agent is over.

        :raises BudgetError: then.
        """
        if self._of_run.seconds is None and self._of_agent.seconds is None:
            yield
            return
        whole, own = math.inf, math.inf
        if self._of_run.seconds is not None:
            whole = self._of_run.seconds - self.elapsed()
        owner = self._record.agents.get(agent)
        if self._of_agent.seconds is not None and owner is not None:
            own = self._of_agent.seconds - owner.spent.seconds
        with anyio.move_on_after(max(min(whole, own), 0.0)) as scope:
            yield
        if scope.cancelled_caught:
            raise _exhausted(_RUN if whole <= own else _AGENT, "seconds")

    def _refuse(self, agent: str, owner: AgentRecord | None, expects: Spent) -> bool:
        """Whether the step has to wait.

        :raises BudgetError: if waiting would not help.
        """
        run = self._record.spent
        if self._of_run.seconds is not None:
            run = replace(run, seconds=self.elapsed())
        accounts = [(_RUN, self._of_run, run, _RUN)]
        if owner is not None:
            accounts.append((_AGENT, self._of_agent, owner.spent, agent))
        wait = False
        for whose, budget, spent, account in accounts:
            under_way = self._open.get(account, Spent())
            if resource := _short(budget, spent, under_way, expects):
                raise _exhausted(whose, resource)
            if budget.tokens is not None and under_way.tokens and expects.tokens:
                wait = wait or spent.tokens + under_way.tokens >= budget.tokens
        return wait


def _short(budget: Budget, spent: Spent, under_way: Spent, expects: Spent) -> str:
    """The resource of which a step wants more than is left, or an empty string.

    Who has no calls left may still think, and so finish; an answer that took the last tokens may
    still be checked.
    """
    steps = replace(spent, steps=spent.steps + under_way.steps)
    whole = spent + under_way + expects
    calls, bytes_ = budget.tool_calls, budget.bytes_written
    always = Budget(
        steps=budget.steps, seconds=budget.seconds, tokens=budget.tokens if expects.tokens else None
    )
    if resource := always.exhausted(steps):
        return resource
    if calls is not None and expects.tool_calls and whole.tool_calls > calls:
        return "tool_calls"
    if bytes_ is not None and expects.bytes_written and whole.bytes_written > bytes_:
        return "bytes_written"
    return ""


def _exhausted(whose: str, resource: str) -> BudgetError:
    return BudgetError(
        f"The {whose} has used up its {resource.replace('_', ' ')}.",
        reason=f"{whose.replace('-', '_')}_{resource}",
        why="The recipe's 'limits' or the policy bound it.",
        next_step="Raise them, then 'hivekeep runs rerun' keeps what is done.",
    )
