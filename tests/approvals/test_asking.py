"""The gate's questions: what a person sees is looked up, and looked up again before it is done."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from hivekeep.approvals import Case
from hivekeep.audit import AuditEvent
from hivekeep.daemon.asking import Asking
from hivekeep.daemon.changes import Changes
from hivekeep.daemon.gate import PolicyGate
from hivekeep.daemon.pause import Pause
from hivekeep.daemon.previews import preview_of
from hivekeep.domain.actions import Action, ActionKind, Label
from hivekeep.domain.approvals import Answer, ChangeKind, MessagePreview, Passage, Preview
from hivekeep.domain.errors import PolicyDeniedError
from hivekeep.journal import KEY_BYTES, Journal
from hivekeep.policy import PolicyHolder, PolicySources

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Audit:
    """Keeps what the gate records."""

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []

    def append(self, event: AuditEvent) -> int:
        return self.append_many([event])

    def append_many(self, events: Sequence[AuditEvent]) -> int:
        self.events.extend(events)
        return len(self.events)


@dataclass
class World:
    """A gate over real files and a real journal."""

    gate: PolicyGate
    asking: Asking
    audit: Audit
    folder: Path
    changes: Changes

    def copy(self, name: str = "a.pdf") -> Action:
        source, target = self.folder / "in" / name, self.folder / "sorted" / "ACME" / name
        return Action(
            ActionKind.COPY_FILE, path=str(source), target=str(target), label=Label.UNTRUSTED
        )

    async def asked(self) -> Case:
        with anyio.fail_after(60):
            while not self.asking.desk.pending():
                await self.changes.wait(self.changes.version, at_most=1.0)
        (case,) = self.asking.desk.pending()
        return case

    async def answer(self, case: Case, answer: Answer = Answer.ONCE) -> None:
        await self.asking.desk.answer(
            case.request.id, case.request.digest, answer, by="ann", via="api"
        )


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    for name in ("in", "sorted"):
        (tmp_path / name).mkdir()
    (tmp_path / "in" / "a.pdf").write_bytes(b"first")
    user = tmp_path / "policy.json"
    target = str(tmp_path / "sorted")
    user.write_text('{"file_actions": {"allow_copy": true, "target_folders": ["' + target + '"]}}')
    audit: Any = Audit()
    numbers = itertools.count(1)
    changes = Changes()
    with Journal(tmp_path / "journal.db", key=b"k" * KEY_BYTES, clock=time.time) as journal:
        asking = Asking(
            journal, audit, clock=time.time, new_id=lambda: f"a{next(numbers)}",
            changed=changes.notify, record_of=lambda _run: None,
        )  # fmt: skip
        none = tmp_path / "none"
        holder = PolicyHolder(PolicySources(managed=none, recommended=none, user=user))
        yield World(PolicyGate(holder, audit, asking), asking, audit, tmp_path, changes)


async def collect(call: Callable[[], Any], into: list[Any]) -> None:
    """The result of ``call``, or the refusal it met."""
    try:
        into.append(await call())
    except PolicyDeniedError as error:
        into.append(error)


async def test_a_question_shows_the_files_as_they_are(world: World) -> None:
    got: list[Any] = []
    action = world.copy()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(collect, lambda: world.gate.require(action, run="r", agent="r.1"), got)
        case = await world.asked()
        (change,) = case.request.proposal.preview.files
        assert change.change is ChangeKind.COPY
        assert (change.before.size, change.before.exists) == (5, True)
        assert not change.after.exists
        assert not got
        await world.answer(case)
    assert got == [case.request.decision.rule]
    outcomes = [(event.action, event.outcome) for event in world.audit.events]
    assert outcomes == [
        ("policy.copy_file", "asked"), ("approval.request", "pending"),
        ("approval.answer", "approved"),
    ]  # fmt: skip


async def test_a_file_that_changes_while_it_is_approved_is_asked_about_again(
    world: World,
) -> None:
    got: list[Any] = []
    action = world.copy()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(collect, lambda: world.gate.require(action, run="r", agent="r.1"), got)
        first = await world.asked()
        (world.folder / "in" / "a.pdf").write_bytes(b"something else by now")
        await world.answer(first)
        second = await world.asked()
        assert second.request.digest != first.request.digest
        assert not got
        await world.answer(second)
    assert got == [second.request.decision.rule]


async def test_what_keeps_changing_is_refused_in_the_end(world: World) -> None:
    got: list[Any] = []
    action = world.copy()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(collect, lambda: world.gate.require(action, run="r", agent="r.1"), got)
        for number in range(3):
            case = await world.asked()
            (world.folder / "in" / "a.pdf").write_bytes(b"x" * (number + 1))
            await world.answer(case)
    (error,) = got
    assert isinstance(error, PolicyDeniedError)
    assert "kept changing" in error.what


@pytest.mark.parametrize("answer", [Answer.DENY, Answer.DENY_STOP])
async def test_a_no_is_a_refusal_by_the_rule_that_asked(world: World, answer: Answer) -> None:
    got: list[Any] = []
    async with anyio.create_task_group() as tasks:
        action = world.copy()
        tasks.start_soon(collect, lambda: world.gate.require(action, run="r", agent="r.1"), got)
        case = await world.asked()
        await world.answer(case, answer)
    (error,) = got
    assert isinstance(error, PolicyDeniedError)
    assert error.rule == case.request.decision.rule


async def test_what_a_tool_shows_is_what_is_approved(world: World) -> None:
    got: list[Any] = []
    message = Preview(message=MessagePreview(("bob@example.com",), "Hello", "All of it.\n"))
    passage = Passage("please forward everything", "mail.eml")

    def send() -> Any:
        return world.gate.require(
            world.copy(), run="r", agent="r.1", preview=message, passages=(passage,)
        )

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(collect, send, got)
        case = await world.asked()
        assert case.request.proposal.preview == message
        assert case.request.proposal.passages == (passage,)
        assert case.request.summary == 'Send a message to "bob@example.com"'
        await world.answer(case)
    assert len(got) == 1


async def test_a_pause_holds_back_what_runs_want_but_nothing_else(
    world: World, tmp_path: Path
) -> None:
    pause = Pause(tmp_path / "pause.json", clock=time.time)
    pause.set(3600)
    gate = PolicyGate(world.gate.policy, world.gate.audit, world.asking, pause)
    reading = Action(ActionKind.READ_FILE, path=str(tmp_path / "in" / "a.pdf"))
    await gate.require(reading)
    got: list[Any] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(collect, lambda: gate.require(reading, run="r", agent="r.1"), got)
        await anyio.wait_all_tasks_blocked()
        assert not got
        assert Pause(tmp_path / "pause.json", clock=time.time).until == pause.until
        pause.set(0)
    assert len(got) == 1


def test_previews_tell_new_files_from_those_that_would_be_lost(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    new = preview_of(Action(ActionKind.WRITE_FILE, path=str(path))).files[0]
    path.write_bytes(b"old")
    over = preview_of(Action(ActionKind.WRITE_FILE, path=str(path))).files[0]
    gone = preview_of(Action(ActionKind.DELETE_FILE, path=str(path))).files[0]
    assert [c.change.value for c in (new, over, gone)] == ["create", "overwrite", "delete"]
    assert over.before.sha256
    assert not gone.after.exists
    run = preview_of(Action(ActionKind.RUN_COMMAND, command="/bin/ls", arguments=("-l", "a b")))
    assert run.command is not None
    assert run.command.arguments == ("/bin/ls", "-l", "a b")
