"""Turns policy's "ask" into a person's answer.

Responsible for what a question shows, for recording it, and for asking again when what would be
done has changed meanwhile; not for deciding.  Invariant: an action goes ahead only if what it
would do now has the very hash that was approved.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from hivekeep.approvals import ApprovalDesk, DeskPorts, Entry, Kind, digest_of
from hivekeep.audit import AuditEvent, AuditLog
from hivekeep.daemon.previews import asker_of, passages_of, preview_of
from hivekeep.domain.actions import Action, Decision
from hivekeep.domain.approvals import (
    ApprovalRequest,
    ApprovalState,
    Passage,
    Preview,
    Proposal,
    Verdict,
)
from hivekeep.domain.errors import PolicyDeniedError
from hivekeep.domain.saying import say, together
from hivekeep.journal import Event, Journal, NewEvent
from hivekeep.swarm.events import Kind as RunEvent
from hivekeep.swarm.events import RunRecord

_ATTEMPTS = 3
_ENDS = frozenset({RunEvent.RUN_CANCELLED, RunEvent.RUN_FAILED, RunEvent.RUN_FINISHED})
_NO = {
    ApprovalState.DENIED: say("no.person", "A person said no."),
    ApprovalState.EXPIRED: say("no.late", "Nobody answered in time, which means no."),
    ApprovalState.WITHDRAWN: say("no.withdrawn", "The question was withdrawn."),
}


class JournalLedger:
    """Approvals kept in the run journal, under event kinds of their own."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def append(self, entries: Sequence[Entry]) -> None:
        """Durable when this returns."""
        await self._journal.append(
            [NewEvent(run=e.run, kind=e.kind.value, payload=e.payload) for e in entries]
        )

    def load(self) -> Iterable[Entry]:
        """Every entry in order."""
        for event in self._journal.events(kinds=[kind.value for kind in Kind]):
            yield Entry(Kind(event.kind), event.run, event.payload)


class Asking:
    """The questions of one daemon; ``serve`` closes those of runs that have ended.

    :param record_of: the record of a run, ``None`` if it has none.
    """

    def __init__(
        self,
        journal: Journal,
        audit: AuditLog,
        *,
        clock: Callable[[], float],
        new_id: Callable[[], str],
        changed: Callable[[], None],
        record_of: Callable[[str], RunRecord | None],
    ) -> None:
        self._journal, self._audit, self._record_of = journal, audit, record_of
        self._ended: tuple[MemoryObjectSendStream[str], MemoryObjectReceiveStream[str]]
        self._ended = anyio.create_memory_object_stream[str](10_000)
        self.desk = ApprovalDesk(
            DeskPorts(JournalLedger(journal), self._witness, clock, new_id, changed, groups_of)
        )

    async def require(
        self,
        action: Action,
        decision: Decision,
        *,
        run: str,
        agent: str,
        preview: Preview | None,
        passages: tuple[Passage, ...],
    ) -> str:
        """Wait for a yes to ``action`` and return the rule that asked.

        :raises PolicyDeniedError: if the answer is no, or nobody answered.
        """
        record = self._record_of(run)
        asker = asker_of(record, run, agent)
        if not passages and record is not None and agent in record.agents:
            source = record.agents[agent]
            passages = await anyio.to_thread.run_sync(
                passages_of, record, source, self._journal.blob
            )
        for _ in range(_ATTEMPTS):
            proposal = Proposal(action, preview or await _look(action), passages)
            verdict = await self.desk.ask(proposal, asker, decision)
            if verdict.state is not ApprovalState.APPROVED:
                raise _refusal(decision, verdict)
            now = Proposal(action, preview or await _look(action))
            if digest_of(now) == digest_of(proposal):
                return decision.rule
        raise PolicyDeniedError(
            say(
                "error.kept_changing",
                "What would be done kept changing while it was being approved.",
            ),
            rule=decision.rule,
            why=f"It changed {_ATTEMPTS} times between question and answer.",
            next_step="Leave the file alone and run it again.",
        )

    def observe(self, event: Event) -> None:
        """Take note of an ended run; called from the event loop, returns at once."""
        if event.kind in _ENDS:
            self._ended[0].send_nowait(event.run)

    async def serve(self) -> None:
        """Close the questions of ended runs, also those of earlier processes."""
        for case in self.desk.pending():
            record = self._record_of(case.request.asker.run)
            if record is not None and record.state.ended:
                await self._withdraw(record.id)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.desk.serve)
            async for run in self._ended[1]:
                await self._withdraw(run)

    async def _withdraw(self, run: str) -> None:
        await self.desk.withdraw(run=run, why="Its run has ended.")

    async def _witness(
        self, what: str, request: ApprovalRequest, text: str, verdict: Verdict | None
    ) -> None:
        detail: dict[str, Any] = {
            "approval": request.id,
            "sha256": request.digest,
        }
        if verdict is not None:
            detail |= {
                "answer": verdict.answer.value if verdict.answer else "",
                "via": verdict.via,
                "note": verdict.note,
            }
        event = AuditEvent(
            actor=verdict.by if verdict else request.asker.agent or request.asker.run or "daemon",
            action=what,
            subject=request.summary,
            rule=request.decision.rule,
            outcome=verdict.state.value if verdict else "pending",
            user=verdict.by if verdict else "",
            job=request.asker.run,
            agent=request.asker.agent,
            approval=text,
            detail=detail,
        )
        await anyio.to_thread.run_sync(self._audit.append, event)


async def _look(action: Action) -> Preview:
    return await anyio.to_thread.run_sync(preview_of, action)


def groups_of(user: str) -> frozenset[str]:
    """The names of an account's groups; none if there is no such account."""
    try:
        account = pwd.getpwnam(user)
        numbers = os.getgrouplist(user, account.pw_gid)
    except (KeyError, OSError):
        return frozenset()
    names = set()
    for number in numbers:
        try:
            names.add(grp.getgrgid(number).gr_name)
        except KeyError:
            continue
    return frozenset(names)


def account_name() -> str:
    """The account this process runs as: the only one that its socket lets in."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _refusal(decision: Decision, verdict: Verdict) -> PolicyDeniedError:
    told = verdict.note if verdict.state is ApprovalState.DENIED else ""
    return PolicyDeniedError(
        together([_NO[verdict.state], told]),
        rule=decision.rule,
        why=f"{decision.reason} ({decision.rule}, {decision.source})",
        next_step=say("next.ask_again", "Run it again to be asked again."),
    )
