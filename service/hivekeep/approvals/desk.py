"""The desk where actions wait for a person.

Responsible for asking once, remembering across restarts, timing out, and lasting answers; not for
when to ask (policy) nor for what is then done (the caller).  Invariant: ``ask`` returns yes only if
a person said yes to this very digest, or to a scope that covers it, and each single yes is good
for one action.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import anyio

from hivekeep.approvals.digest import digest_of
from hivekeep.approvals.ledger import (
    Case,
    Entry,
    Ledger,
    State,
    answered,
    granted,
    requested,
    revoked,
    used,
)
from hivekeep.approvals.wording import risk_in_words, scope_of, shown_text, summarize
from hivekeep.domain.actions import ApprovalTerms, Decision
from hivekeep.domain.approvals import (
    Answer,
    ApprovalRequest,
    ApprovalState,
    Asker,
    Grant,
    Proposal,
    Verdict,
)
from hivekeep.domain.errors import ApprovalError, NotFoundError
from hivekeep.domain.saying import say, sayings

# What happened, the request, the exact text that was shown, and the answer if there is one.
Witness = Callable[[str, ApprovalRequest, str, Verdict | None], Awaitable[None]]

_KEPT = 500


@dataclass(frozen=True, slots=True)
class DeskPorts:
    """What the desk needs from outside. ``witness`` is awaited before anything counts.

    ``groups`` names the groups of an account, for policies that say who may approve.
    """

    ledger: Ledger
    witness: Witness
    clock: Callable[[], float]
    new_id: Callable[[], str]
    changed: Callable[[], None] = field(default=lambda: None)
    groups: Callable[[str], frozenset[str]] = field(default=lambda _user: frozenset())


class ApprovalDesk:
    """Open it once per daemon; ``serve`` enforces the time limits."""

    def __init__(self, ports: DeskPorts) -> None:
        self._ports = ports
        self._state = State()
        for entry in ports.ledger.load():
            self._state.apply(entry)
        self._answered: dict[str, anyio.Event] = {}
        self._wake = anyio.Event()
        self._lock = anyio.Lock()

    # For whoever wants to act

    async def ask(self, proposal: Proposal, asker: Asker, decision: Decision) -> Verdict:
        """Wait until a person, a lasting yes or the clock has answered.

        Cancelling leaves the request pending: the same question after a restart finds it, or the
        answer that was given meanwhile.
        """
        digest = digest_of(proposal)
        async with self._lock:
            if grant := self._covering(proposal, asker, decision):
                return await self._by_grant(grant, proposal, asker, decision, digest)
            case = self._resume(asker, digest) or await self._open(
                proposal, asker, decision, digest
            )
        request = case.request
        while case.verdict is None:
            event = self._answered.setdefault(request.id, anyio.Event())
            await event.wait()
        await self._write([used(request)])
        return case.verdict

    async def withdraw(self, *, run: str, why: str, agent: str = "") -> None:
        """Close the pending requests of a run, or of one of its agents, without an answer."""
        for case in self.pending():
            asker = case.request.asker
            if asker.run == run and agent in ("", asker.agent):
                await self._close(case, ApprovalState.WITHDRAWN, None, "daemon", "daemon", why)

    # For the person

    def pending(self) -> list[Case]:
        """Requests that wait, oldest first."""
        return [case for case in self._state.cases.values() if case.verdict is None]

    def recent(self, limit: int) -> list[Case]:
        """All requests, newest first."""
        return list(reversed(self._state.cases.values()))[:limit]

    def case(self, request: str) -> Case:
        """The request called ``request``; an unambiguous beginning of its id is enough.

        :raises NotFoundError: if there is none, or more than one.
        """
        if request in self._state.cases:
            return self._state.cases[request]
        found = [case for name, case in self._state.cases.items() if name.startswith(request)]
        if len(found) == 1 and request:
            return found[0]
        raise NotFoundError(
            say("error.no_approval", "There is no approval '{approval}'.", approval=request),
            why=f"The name fits {len(found)} of them." if found else "",
            next_step="'hivekeep approvals list' shows what waits.",
        )

    async def answer(
        self, request: str, digest: str, answer: Answer, *, by: str, via: str, note: str = ""
    ) -> Case:
        """Take a person's answer to exactly what ``digest`` names.

        :raises NotFoundError: if there is no such request.
        :raises ApprovalError: if it is answered already, is about something else by now, or policy
            does not let a person answer it for good.
        """
        case = self.case(request)
        self._check(case, digest, answer, by)
        state = ApprovalState.APPROVED if answer.allows else ApprovalState.DENIED
        await self._close(case, state, answer, by, via, note)
        return case

    def grants(self) -> list[Grant]:
        """The lasting answers in force."""
        return list(self._state.grants.values())

    async def revoke(self, grant: str, *, by: str) -> Grant:
        """Take a lasting yes back.

        :raises NotFoundError: if there is no such grant.
        """
        known = self._state.grants.get(grant)
        if known is None:
            raise NotFoundError(
                f"There is no lasting approval '{grant}'.",
                next_step="'hivekeep approvals grants' lists them.",
            )
        await self._write([revoked(known, by)])
        self._ports.changed()
        return known

    # The clock

    async def serve(self) -> None:
        """Turn requests whose time is over into a no, until cancelled; sleeps while none waits."""
        while True:
            now = self._ports.clock()
            for case in self.pending():
                if case.request.expires <= now:
                    why = "Nobody answered in time."
                    await self._close(case, ApprovalState.EXPIRED, None, "clock", "daemon", why)
            next_end = min((c.request.expires for c in self.pending()), default=math.inf)
            wake = self._wake
            if math.isinf(next_end):
                await wake.wait()
            else:
                with anyio.move_on_after(max(next_end - self._ports.clock(), 0.01)):
                    await wake.wait()

    # Inside

    def _check(self, case: Case, digest: str, answer: Answer, by: str) -> None:
        request = case.request
        if case.verdict is not None:
            raise ApprovalError(
                say("error.answered", "This question has been answered already."),
                why=f"It is {case.verdict.state.value}, by {case.verdict.by}.",
            )
        if request.expires <= self._ports.clock():
            raise ApprovalError(
                say("error.expired", "This question has expired."),
                why=say("why.unanswered", "Unanswered means no."),
            )
        if digest != request.digest:
            raise ApprovalError(
                say("error.something_else", "The answer is for something else."),
                why=f"What waits now has the hash {request.digest[:12]}, not {digest[:12]}.",
                next_step=say("next.look_again", "Look at the request again."),
            )
        if not self._may_answer(request, by):
            raise ApprovalError(
                say("error.not_yours", "'{person}' may not answer this.", person=by),
                why=say("why.approvers", "Policy names who may."),
                next_step="Ask one of: " + ", ".join(_terms(request.decision).approvers or ()),
            )
        if answer is Answer.ALWAYS and not may_always(request):
            raise ApprovalError(
                say("error.not_for_good", "This cannot be approved for good."),
                why="Policy does not allow it for this rule, or no recipe asked.",
                next_step="Approve it once or for this run.",
            )
        if answer is Answer.RUN and not request.asker.run:
            raise ApprovalError("No run asked for this.", next_step="Approve it once.")

    def _may_answer(self, request: ApprovalRequest, by: str) -> bool:
        named = _terms(request.decision).approvers
        if named is None:
            return True
        groups = {f"@{group}" for group in self._ports.groups(by)}
        return by in named or not groups.isdisjoint(named)

    def _covering(self, proposal: Proposal, asker: Asker, decision: Decision) -> Grant | None:
        _, key = scope_of(proposal)
        for grant in self._state.grants.values():
            if grant.scope_key != key:
                continue
            if grant.run and grant.run == asker.run:
                return grant
            by_recipe = grant.recipe_hash and grant.recipe_hash == asker.recipe_hash
            if by_recipe and not grant.run and _terms(decision).always_allow:
                return grant
        return None

    async def _by_grant(
        self, grant: Grant, proposal: Proposal, asker: Asker, decision: Decision, digest: str
    ) -> Verdict:
        """A yes that was given before covers this: recorded like an answer, without a question."""
        request = self._request(proposal, asker, decision, digest)
        chosen = Answer.RUN if grant.run else Answer.ALWAYS
        verdict = Verdict(
            ApprovalState.APPROVED, chosen, grant.by, "grant", self._ports.clock(), grant.id
        )
        await self._ports.witness("approval.covered", request, shown_text(request), verdict)
        return verdict

    def _resume(self, asker: Asker, digest: str) -> Case | None:
        """The same question of the same agent, asked before a restart and not yet used up."""
        for case in self._state.cases.values():
            request = case.request
            if request.digest != digest or case.used:
                continue
            if (request.asker.run, request.asker.agent) != (asker.run, asker.agent):
                continue
            if case.verdict is None or case.verdict.state is not ApprovalState.WITHDRAWN:
                return case
        return None

    async def _open(
        self, proposal: Proposal, asker: Asker, decision: Decision, digest: str
    ) -> Case:
        request = self._request(proposal, asker, decision, digest)
        await self._ports.witness("approval.request", request, shown_text(request), None)
        await self._write([requested(request)])
        self._rouse()
        return self._state.cases[request.id]

    def _request(
        self, proposal: Proposal, asker: Asker, decision: Decision, digest: str
    ) -> ApprovalRequest:
        now = self._ports.clock()
        scope, key = scope_of(proposal)
        summary, risk = summarize(proposal), risk_in_words(proposal)
        return ApprovalRequest(
            id=self._ports.new_id(),
            proposal=proposal,
            digest=digest,
            asker=asker,
            decision=decision,
            risk_text=risk,
            summary=summary,
            scope=scope,
            scope_key=key,
            group=":".join((asker.run, proposal.action.kind.value, decision.rule)),
            created=now,
            expires=now + _terms(decision).timeout_seconds,
            said=sayings(summary=summary, risk=risk, scope=scope, reason=decision.reason),
        )

    async def _close(
        self, case: Case, state: ApprovalState, answer: Answer | None, by: str, via: str, note: str
    ) -> None:
        request = case.request
        verdict = Verdict(state, answer, by, via, self._ports.clock(), note)
        async with self._lock:
            if case.verdict is not None:
                raise ApprovalError(
                    say("error.answered", "This question has been answered already."),
                    why=f"It is {case.verdict.state.value}, by {case.verdict.by}.",
                )
            await self._ports.witness("approval.answer", request, shown_text(request), verdict)
            entries = [answered(request, verdict)]
            if answer in (Answer.RUN, Answer.ALWAYS):
                entries.append(granted(self._grant(request, answer, by)))
            await self._write(entries)
        self._rouse(request.id)

    def _grant(self, request: ApprovalRequest, answer: Answer, by: str) -> Grant:
        lasting, asker = answer is Answer.ALWAYS, request.asker
        return Grant(
            id=self._ports.new_id(),
            scope=request.scope,
            scope_key=request.scope_key,
            run="" if lasting else asker.run,
            recipe=asker.recipe,
            recipe_hash=asker.recipe_hash if lasting else "",
            by=by,
            at=self._ports.clock(),
        )

    async def _write(self, entries: Sequence[Entry]) -> None:
        # Shielded: what became durable must be folded too.
        with anyio.CancelScope(shield=True):
            await self._ports.ledger.append(entries)
            for entry in entries:
                self._state.apply(entry)
            self._forget_old()

    def _forget_old(self) -> None:
        """Closed cases stay in the ledger and the audit log; memory holds the newest."""
        closed = [name for name, case in self._state.cases.items() if case.verdict and case.used]
        for name in closed[: max(len(closed) - _KEPT, 0)]:
            del self._state.cases[name]

    def _rouse(self, request: str = "") -> None:
        if event := self._answered.pop(request, None):
            event.set()
        self._wake.set()
        self._wake = anyio.Event()
        self._ports.changed()


def may_always(request: ApprovalRequest) -> bool:
    """Whether a yes for good may be given: policy lets it, and a recipe asked."""
    return _terms(request.decision).always_allow and bool(request.asker.recipe_hash)


def _terms(decision: Decision) -> ApprovalTerms:
    """The terms of a question; the narrowest where policy stated none."""
    return decision.approval or ApprovalTerms(None, always_allow=False, timeout_seconds=600)
