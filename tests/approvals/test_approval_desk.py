"""The desk: bound to a hash, remembered, timed out, and never answered twice."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hivekeep.approvals import ApprovalDesk, Case, DeskPorts, Entry, digest_of, shown_text
from hivekeep.domain.actions import Action, ActionKind, ApprovalTerms, Decision, Effect, Label, Risk
from hivekeep.domain.approvals import (
    Answer,
    ApprovalRequest,
    ApprovalState,
    Asker,
    ChangeKind,
    FileChange,
    FileState,
    MessagePreview,
    Passage,
    Preview,
    Proposal,
    Verdict,
)
from hivekeep.domain.errors import ApprovalError, NotFoundError, StorageError

ASKER = Asker("run1", "run1.0001", "invoices", "ab" * 32, "Invoices", "a.pdf")


def copy(target: str = "/sorted/ACME/a.pdf", **more: Any) -> Proposal:
    action = Action(ActionKind.COPY_FILE, path="/in/a.pdf", target=target, label=Label.UNTRUSTED)
    change = FileChange(
        ChangeKind.COPY, FileState("/in/a.pdf", True, 10), FileState(target, exists=False)
    )
    return Proposal(action, Preview(files=(change,)), **more)


def asked(
    *, always: bool = False, seconds: int = 60, who: tuple[str, ...] | None = None
) -> Decision:
    terms = ApprovalTerms(who, always_allow=always, timeout_seconds=seconds)
    return Decision(Effect.ASK, "approvals.ask[0]", "test", "It is asked.", Risk.HIGH, terms)


@dataclass
class Office:
    """A desk with memory that outlives it, a clock that is set by hand, and an audit log."""

    entries: list[Entry] = field(default_factory=list)
    witnessed: list[tuple[str, str, Verdict | None]] = field(default_factory=list)
    now: float = 1000.0
    groups: dict[str, frozenset[str]] = field(default_factory=dict)
    full: bool = False
    ids: Iterable[int] = field(default_factory=lambda: itertools.count(1))

    async def append(self, entries: Sequence[Entry]) -> None:
        await anyio.lowlevel.checkpoint()
        if self.full:
            raise StorageError("The disk is full.")
        self.entries.extend(entries)

    def load(self) -> Iterable[Entry]:
        return list(self.entries)

    async def witness(
        self, what: str, request: ApprovalRequest, text: str, verdict: Verdict | None
    ) -> None:
        await anyio.lowlevel.checkpoint()
        self.witnessed.append((what, text, verdict))

    def open(self) -> ApprovalDesk:
        ids = iter(self.ids)
        return ApprovalDesk(
            DeskPorts(
                self,
                self.witness,
                clock=lambda: self.now,
                new_id=lambda: f"a{next(ids):04d}",
                groups=lambda user: self.groups.get(user, frozenset()),
            )
        )


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def office() -> Office:
    return Office()


pytestmark = pytest.mark.anyio


async def waiting(desk: ApprovalDesk, count: int = 1) -> list[Case]:
    """The pending requests once there are ``count``."""
    with anyio.fail_after(30):
        while len(desk.pending()) < count:
            await anyio.lowlevel.checkpoint()
    return desk.pending()


class Question:
    """One ``ask`` under way."""

    def __init__(self, desk: ApprovalDesk, proposal: Proposal, asker: Asker, rule: Decision):
        self.verdict: Verdict | None = None
        self._do = (desk, proposal, asker, rule)

    async def run(self) -> None:
        desk, proposal, asker, rule = self._do
        self.verdict = await desk.ask(proposal, asker, rule)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (Answer.ONCE, ApprovalState.APPROVED),
        (Answer.DENY, ApprovalState.DENIED),
        (Answer.DENY_STOP, ApprovalState.DENIED),
    ],
)
async def test_an_answer_reaches_whoever_asked_and_is_witnessed_before_it_counts(
    office: Office, answer: Answer, state: ApprovalState
) -> None:
    desk, proposal = office.open(), copy(passages=(Passage("send it", "a.pdf, page 1"),))
    question = Question(desk, proposal, ASKER, asked())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(question.run)
        (case,) = await waiting(desk)
        assert case.request.digest == digest_of(proposal)
        assert question.verdict is None
        await desk.answer(case.request.id, case.request.digest, answer, by="ann", via="popup")
    assert question.verdict is not None
    assert (question.verdict.state, question.verdict.by) == (state, "ann")
    (first, shown, none), (second, again, verdict) = office.witnessed
    assert (first, second, none, verdict) == (
        "approval.request", "approval.answer", None, question.verdict,
    )  # fmt: skip
    assert shown == again == shown_text(case.request)
    assert '"send it"' in shown


async def test_an_answer_to_another_hash_is_refused(office: Office) -> None:
    desk = office.open()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Question(desk, copy(), ASKER, asked()).run)
        (case,) = await waiting(desk)
        other = digest_of(copy("/elsewhere/a.pdf"))
        with pytest.raises(ApprovalError, match="something else"):
            await desk.answer(case.request.id, other, Answer.ONCE, by="ann", via="cli")
        assert desk.pending() == [case]
        tasks.cancel_scope.cancel()


async def test_one_yes_is_good_for_one_action(office: Office) -> None:
    desk = office.open()
    for _ in range(2):
        question = Question(desk, copy(), ASKER, asked())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(question.run)
            (case,) = await waiting(desk)
            await desk.answer(
                case.request.id, case.request.digest, Answer.ONCE, by="ann", via="cli"
            )
    assert len({case.request.id for case in desk.recent(10)}) == 2


async def test_a_closed_question_takes_no_second_answer(office: Office) -> None:
    desk = office.open()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Question(desk, copy(), ASKER, asked()).run)
        (case,) = await waiting(desk)
        name, digest = case.request.id, case.request.digest
        await desk.answer(name, digest, Answer.DENY, by="ann", via="cli")
        with pytest.raises(ApprovalError, match="already"):
            await desk.answer(name, digest, Answer.ONCE, by="bob", via="popup")
    with pytest.raises(NotFoundError):
        await desk.answer("nothing", digest, Answer.ONCE, by="ann", via="cli")


@pytest.mark.parametrize("answered_meanwhile", [False, True])
async def test_a_restart_keeps_the_question_and_the_answer(
    office: Office, answered_meanwhile: bool
) -> None:
    desk = office.open()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Question(desk, copy(), ASKER, asked()).run)
        (case,) = await waiting(desk)
        tasks.cancel_scope.cancel()
    desk = office.open()
    (again,) = desk.pending()
    assert again.request == case.request
    if answered_meanwhile:
        await desk.answer(again.request.id, case.request.digest, Answer.ONCE, by="a", via="cli")
        desk = office.open()
    question = Question(desk, copy(), ASKER, asked())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(question.run)
        if not answered_meanwhile:
            await waiting(desk)
            await desk.answer(case.request.id, case.request.digest, Answer.ONCE, by="a", via="cli")
    assert question.verdict is not None
    assert question.verdict.state is ApprovalState.APPROVED
    assert [c.request.id for c in desk.recent(9)] == [case.request.id]


async def test_what_changed_is_asked_anew(office: Office) -> None:
    desk = office.open()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Question(desk, copy(), ASKER, asked()).run)
        await waiting(desk)
        tasks.cancel_scope.cancel()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Question(desk, copy("/sorted/Other/a.pdf"), ASKER, asked()).run)
        first, second = await waiting(desk, 2)
        assert first.request.digest != second.request.digest
        tasks.cancel_scope.cancel()


async def test_no_answer_in_time_is_a_no(office: Office) -> None:
    desk = office.open()
    question = Question(desk, copy(), ASKER, asked(seconds=60))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(question.run)
        (case,) = await waiting(desk)
        office.now += 61
        with pytest.raises(ApprovalError, match="expired"):
            await desk.answer(
                case.request.id, case.request.digest, Answer.ONCE, by="ann", via="cli"
            )
        tasks.start_soon(desk.serve)
        with anyio.fail_after(30):
            while question.verdict is None:
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert [case.verdict.state for case in desk.recent(1) if case.verdict] == [
        ApprovalState.EXPIRED
    ]


async def test_a_yes_for_the_run_covers_the_same_place_in_the_same_run_only(
    office: Office,
) -> None:
    desk = office.open()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Question(desk, copy(), ASKER, asked()).run)
        (case,) = await waiting(desk)
        await desk.answer(case.request.id, case.request.digest, Answer.RUN, by="ann", via="cli")
    desk = office.open()
    covered = await desk.ask(copy("/sorted/ACME/b.pdf"), ASKER, asked())
    assert covered.via == "grant"
    assert office.witnessed[-1][0] == "approval.covered"
    others = [
        (copy("/sorted/Other/b.pdf"), ASKER),
        (copy("/sorted/ACME/b.pdf"), replace(ASKER, run="run2")),
    ]
    async with anyio.create_task_group() as tasks:
        for proposal, asker in others:
            tasks.start_soon(Question(desk, proposal, asker, asked()).run)
        assert len(await waiting(desk, 2)) == 2
        tasks.cancel_scope.cancel()
    (grant,) = desk.grants()
    await desk.revoke(grant.id, by="ann")
    assert office.open().grants() == []


async def test_a_yes_for_good_needs_policy_and_ends_with_the_recipe(office: Office) -> None:
    desk = office.open()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Question(desk, copy(), ASKER, asked(always=False)).run)
        (case,) = await waiting(desk)
        with pytest.raises(ApprovalError, match="for good"):
            await desk.answer(
                case.request.id, case.request.digest, Answer.ALWAYS, by="ann", via="cli"
            )
        await desk.answer(case.request.id, case.request.digest, Answer.DENY, by="ann", via="cli")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Question(desk, copy(), ASKER, asked(always=True)).run)
        (case,) = await waiting(desk)
        await desk.answer(case.request.id, case.request.digest, Answer.ALWAYS, by="ann", via="cli")
    again = replace(ASKER, run="run9", agent="run9.0004")
    assert (await desk.ask(copy(), again, asked(always=True))).answer is Answer.ALWAYS
    changed = replace(again, agent="run9.0005", recipe_hash="cd" * 32)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Question(desk, copy(), changed, asked(always=True)).run)
        # Once policy has taken the permission back, the lasting yes is worth nothing either.
        tasks.start_soon(Question(desk, copy(), again, asked(always=False)).run)
        assert len(await waiting(desk, 2)) == 2
        tasks.cancel_scope.cancel()


async def test_only_named_approvers_may_answer(office: Office) -> None:
    office.groups["eve"] = frozenset({"users"})
    office.groups["ann"] = frozenset({"finance"})
    desk = office.open()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Question(desk, copy(), ASKER, asked(who=("bob", "@finance"))).run)
        (case,) = await waiting(desk)
        with pytest.raises(ApprovalError, match="eve"):
            await desk.answer(
                case.request.id, case.request.digest, Answer.ONCE, by="eve", via="cli"
            )
        await desk.answer(case.request.id, case.request.digest, Answer.ONCE, by="ann", via="cli")


async def test_an_ended_run_leaves_no_question(office: Office) -> None:
    desk = office.open()
    question = Question(desk, copy(), ASKER, asked())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(question.run)
        await waiting(desk)
        await desk.withdraw(run="another", why="It ended.")
        assert desk.pending()
        await desk.withdraw(run="run1", why="It ended.")
    assert question.verdict is not None
    assert question.verdict.state is ApprovalState.WITHDRAWN


async def test_an_answer_that_cannot_be_kept_does_not_count(office: Office) -> None:
    desk = office.open()
    question = Question(desk, copy(), ASKER, asked())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(question.run)
        (case,) = await waiting(desk)
        office.full = True
        with pytest.raises(StorageError):
            await desk.answer(
                case.request.id, case.request.digest, Answer.ONCE, by="ann", via="cli"
            )
        assert question.verdict is None
        assert desk.pending()
        tasks.cancel_scope.cancel()


TEXTS = st.text(max_size=30)
MESSAGES = st.builds(
    MessagePreview, st.tuples(TEXTS), TEXTS, TEXTS, st.lists(TEXTS, max_size=2).map(tuple)
)
PROPOSALS = st.builds(
    lambda path, target, message: Proposal(
        Action(ActionKind.COPY_FILE, path=path, target=target), Preview(message=message)
    ),
    TEXTS,
    TEXTS,
    MESSAGES,
)


@given(PROPOSALS, PROPOSALS)
def test_equal_hashes_mean_equal_actions_and_contents(one: Proposal, other: Proposal) -> None:
    same = (one.action, one.preview) == (other.action, other.preview)
    assert (digest_of(one) == digest_of(other)) is same


@given(TEXTS, TEXTS, TEXTS)
def test_no_text_from_outside_forges_a_line(path: str, quote: str, origin: str) -> None:
    proposal = Proposal(
        Action(ActionKind.COPY_FILE, path=path, target=path),
        passages=(Passage(quote, origin),),
    )
    request = ApprovalRequest(
        "a1", proposal, digest_of(proposal), Asker("r", title=quote, document=origin), asked(),
        "Risky.", path.strip()[:0] + "Copy", "scope", "key", "group", 0.0, 1.0,
    )  # fmt: skip
    plain = replace(
        request,
        asker=Asker("r", title="x", document="x" if origin else ""),
        proposal=replace(proposal, passages=(Passage("x", "x"),)),
    )
    assert len(shown_text(request).split("\n")) == len(shown_text(plain).split("\n"))
    assert all(line.isprintable() for line in shown_text(request).split("\n"))
