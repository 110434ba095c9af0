"""A run with real side effects in a process that can be killed at any instant.

Responsible for the run (the real coordinator, journal, audit log, gate, publisher and mover; only
reading and thinking are scripted, so that it is fast) and for judging what it left behind.  The
clock and the ids are fixed, so that two runs that did the same wrote the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio

from hivekeep.audit import AuditLog, records, verify
from hivekeep.daemon.gate import PolicyGate
from hivekeep.daemon.mover import InputMover
from hivekeep.deliverables import ReportPublisher
from hivekeep.documents import file_sha256
from hivekeep.domain.documents import Block, Document
from hivekeep.domain.errors import DocumentError, HivekeepError, SecretsError, StorageError
from hivekeep.domain.fields import FieldSpec, FieldType, FileAction, FileActionKind, Plan, PlanKind
from hivekeep.domain.inference import FinishEvent, FinishReason, GenerateRequest
from hivekeep.domain.report import RunReport
from hivekeep.domain.runs import InputFile, RunState, TriggerKind, Usage
from hivekeep.journal import Journal, decode, encode, journal_key
from hivekeep.policy import PolicyHolder, PolicySources
from hivekeep.secrets import KeyStore
from hivekeep.swarm.coordinator import Coordinator
from hivekeep.swarm.events import Kind, RunRequest
from hivekeep.swarm.ports import Limits, Ports

RUN = "run1"
_FIRST_OF_2026 = 1_767_225_600.0
_BATCH_SECONDS = 0.3


class FileSecrets:
    """Keys in a file without a passphrase: deriving one would be most of a short run."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, name: str) -> bytes | None:
        """The secret."""
        found = self._all().get(name)
        return None if found is None else base64.b64decode(found)

    def put(self, name: str, value: bytes) -> None:
        """Keep it; a kill leaves the old file or the new one."""
        self._write({**self._all(), name: base64.b64encode(value).decode()})

    def delete(self, name: str) -> None:
        """Forget it."""
        self._write({known: value for known, value in self._all().items() if known != name})

    def describe(self) -> str:
        """Where they are."""
        return str(self._path)

    def _all(self) -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads(self._path.read_text())
        except FileNotFoundError:
            return {}
        return found

    def _write(self, secrets: dict[str, str]) -> None:
        new = self._path.with_suffix(".new")
        try:
            new.write_text(json.dumps(secrets))
            new.replace(self._path)
        except OSError as error:
            raise SecretsError("The keys cannot be written.", why=f"{error.strerror}.") from error


@dataclass(frozen=True)
class Stage:
    """One run's folders, made anew under the same names for every run.

    With more than one of ``batches`` the documents join the run as a watched folder's do, and come
    again after each kill, as that makes sure of.
    """

    root: Path
    documents: int = 24
    action: FileActionKind = FileActionKind.MOVE
    batches: int = 1

    @property
    def inbox(self) -> Path:
        """Where the documents are."""
        return self.root / "inbox"

    @property
    def archive(self) -> Path:
        """Where the run moves or copies them."""
        return self.root / "archive"

    @property
    def results(self) -> Path:
        """Where the deliverables go."""
        return self.root / "results"

    @property
    def audit(self) -> Path:
        """The audit log."""
        return self.root / "audit"

    @property
    def keys(self) -> KeyStore:
        """The keys, read from the disk again."""
        return KeyStore(FileSecrets(self.root / "keys.json"))

    def set_up(self) -> None:
        """Nothing done yet."""
        shutil.rmtree(self.root, ignore_errors=True)
        for folder in (self.inbox, self.archive, self.results):
            folder.mkdir(parents=True)
        for number in range(self.documents):
            text = f"Invoice R-{number:04d}\nSeller Firm {number % 3}\nTotal {number}.50\n"
            (self.inbox / f"{number:04d}.txt").write_text(text * (1 + number % 5))
        policy = {
            "file_actions": {
                "allow_copy": True, "allow_move": True, "target_folders": [str(self.archive)],
            },
            "labels": {"untrusted_actions": ["copy_file", "move_file"]},
        }  # fmt: skip
        (self.root / "policy.json").write_text(json.dumps(policy))

    def plan(self) -> Plan:
        """Number, seller and total; each file goes into a folder called after its seller."""
        return Plan(
            recipe="killed", recipe_version="1", recipe_hash="ab" * 32, kind=PlanKind.EXTRACT,
            title="Killed", instructions="Read.",
            fields=(
                FieldSpec("number", FieldType.IDENTIFIER, "Number"),
                FieldSpec("seller", FieldType.TEXT, "Seller"),
                FieldSpec("total", FieldType.AMOUNT, "Total"),
            ),
            file_action=FileAction(self.action, str(self.archive), "seller"),
        )  # fmt: skip

    def inputs(self) -> tuple[InputFile, ...]:
        """The documents as they are before the run."""
        return tuple(
            InputFile(str(path), *file_sha256(path)) for path in sorted(self.inbox.iterdir())
        )

    def requests(self) -> list[RunRequest]:
        """What is asked for, in the order in which it is."""
        whole = RunRequest(
            self.plan(), self.inputs(), "Killed", TriggerKind.COMMAND, output=str(self.results)
        )
        if self.batches == 1:
            return [whole]
        size = -(-self.documents // self.batches)
        return [
            replace(
                whole, inputs=whole.inputs[start : start + size], trigger=TriggerKind.WATCH,
                watch="w1", batch=f"b{start}", batch_seconds=_BATCH_SECONDS,
            )
            for start in range(0, self.documents, size)
        ]  # fmt: skip


class _Scripted:
    """Reader and engine without a model; every call leaves a line that survives a kill."""

    def __init__(self, root: Path) -> None:
        self._log = os.open(root / "effects.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(self, *parts: str) -> None:
        """One line in one system call."""
        os.write(self._log, ("\t".join(parts) + "\n").encode())

    async def read(self, path: Path, *, expected_sha256: str = "") -> Document:
        """DocumentReader: the lines of a text file; each seventh file is unreadable."""
        data = await anyio.Path(path).read_bytes()
        assert hashlib.sha256(data).hexdigest() == expected_sha256
        self.note("read", path.name)
        if int(path.stem) % 7 == 6:
            raise DocumentError(f"'{path.name}' is damaged.", reason="damaged")
        lines = data.decode().splitlines()
        blocks = tuple(Block(number, 1, line) for number, line in enumerate(lines))
        return Document(path.name, "text/plain", expected_sha256, len(data), 1, blocks)

    async def complete(self, request: GenerateRequest) -> FinishEvent:
        """Completer: what is printed in the document."""
        await anyio.lowlevel.checkpoint()
        self.note("generate", request.id)
        number = int(request.agent[-4:]) - 1
        answer = {"number": f"R-{number:04d}", "seller": f"Firm {number % 3}",
                  "total": f"{number}.50"}  # fmt: skip
        return FinishEvent(
            request.id, json.dumps(answer), FinishReason.STOP, Usage(100, 10, 20), 0.0
        )


class _Publisher(ReportPublisher):
    """The real one, whose deeds are noted."""

    def __init__(self, world: _Scripted) -> None:
        super().__init__()
        self._world = world

    def prepare(self, report: RunReport, folder: Path) -> list[dict[str, Any]]:
        self._world.note("prepare", report.run)
        return super().prepare(report, folder)

    def publish(self, prepared: dict[str, Any]) -> Path:
        self._world.note("publish", prepared["target"])
        return super().publish(prepared)


def carry_on(
    stage: Stage, *, clock: Callable[[], float] = lambda: _FIRST_OF_2026, agents: int = 8,
    wall: Callable[[], float] = time.time,
) -> None:  # fmt: skip
    """Begin the run or go on with it, in this process, until it has ended.

    :param clock: the journal's clock; ``wall`` is the audit log's.

    :raises HivekeepError: what stopped it, for example a full disk.
    """
    keys = stage.keys
    path = stage.root / "journal.db"
    world = _Scripted(stage.root)
    nowhere = stage.root / "none"
    policy = PolicyHolder(PolicySources(nowhere, nowhere, stage.root / "policy.json"))
    audit = AuditLog(stage.audit, keys, wall=wall)
    with Journal(path, key=journal_key(keys, path), clock=clock) as journal:
        ports = Ports(
            reader=world, engine=world, gate=PolicyGate(policy, audit),
            publisher=_Publisher(world), mover=InputMover(),
            monotonic=lambda: 0.0, new_id=lambda: RUN,
        )  # fmt: skip
        coordinator = Coordinator(journal, ports, Limits(agents=agents))
        anyio.run(_until_ended, coordinator, _remembered(stage))
    audit.close()


def _remembered(stage: Stage) -> list[RunRequest]:
    """What was asked for at first: documents that were moved since are still asked for."""
    path = stage.root / "asked.json"
    if not path.exists():
        text = json.dumps([encode(request) for request in stage.requests()])
        path.with_suffix(".new").write_text(text)
        path.with_suffix(".new").replace(path)
    return [decode(RunRequest, item) for item in json.loads(path.read_text())]


async def _until_ended(coordinator: Coordinator, asked: list[RunRequest]) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(coordinator.serve)
        await anyio.lowlevel.checkpoint()
        record = coordinator.records.get(RUN)
        if record is not None and record.state is RunState.FAILED:
            await coordinator.resume(RUN)
        for request in asked:
            if record is None or request.batch:
                record = await coordinator.submit(request)
        while record is None or not record.state.ended or coordinator.busy:  # noqa: ASYNC110 - also after its last event
            await anyio.sleep(0.005)
        tasks.cancel_scope.cancel()
    if record is not None and record.state is RunState.FAILED:
        raise StorageError(str(record.error))


def in_child(work: Callable[[], None]) -> int:
    """Start ``work`` in a forked process and return its id; its output is nobody's."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    except BaseException:  # noqa: BLE001 - it is a process of its own
        traceback.print_exc()
    finally:
        os._exit(status)


def ended_in_child(stage: Stage, *, prepare: Callable[[], None] = lambda: None) -> bool:
    """Go on with the run in a child; whether it ended, or was stopped for a reason.

    :param prepare: called in the child first.
    :raises AssertionError: if the child failed otherwise.
    """

    def work() -> None:
        prepare()
        try:
            carry_on(stage)
        except* HivekeepError:
            os._exit(3)

    _, status = os.waitpid(in_child(work), 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, 3)
    return code == 0


def killed_after(stage: Stage, seconds: float, *, stopped_for: float = 0.0) -> bool:
    """Go on with the run in a child and kill it; whether it was killed before it ended.

    :param stopped_for: instead of killing, stop it for so long and then let it go on.
    :raises AssertionError: if the child failed by itself.
    """
    child = in_child(lambda: carry_on(stage))
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert status == 0, f"the run's process failed with {status}"
            return False
        time.sleep(0.001)
    if stopped_for:
        os.kill(child, signal.SIGSTOP)
        time.sleep(stopped_for)
        os.kill(child, signal.SIGCONT)
    else:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), f"the run's process failed with {status}"
    return status == signal.SIGKILL


@dataclass(frozen=True)
class Traces:
    """Everything a run left behind, in a form that two runs can be compared by.

    ``calls`` counts what reader, engine and publisher were asked to do: a call that a kill cut off
    before its result was journaled is made again, and that is all that is.
    """

    files: dict[str, str]
    steps: dict[tuple[str, str], str]
    done: Counter[tuple[str, str]]
    repeated: tuple[tuple[str, str], ...]
    audited: Counter[str]
    calls: int
    problems: tuple[str, ...]


def traces(stage: Stage) -> Traces:
    """Look at the files, the journal and the audit log."""
    files = {
        str(path.relative_to(stage.root)): file_sha256(path)[0]
        for folder in (stage.inbox, stage.archive, stage.results)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    steps: dict[tuple[str, str], str] = {}
    done: Counter[tuple[str, str]] = Counter()
    repeated: list[tuple[str, str]] = []
    path = stage.root / "journal.db"
    with Journal(path, key=journal_key(stage.keys, path), clock=time.time) as journal:
        problems = [f"journal: {problem}" for problem in journal.check()]
        for event in journal.events(RUN):
            step = (event.agent, str(event.payload.get("key", event.kind)))
            if event.kind == Kind.STEP_INTENDED and done[step]:
                repeated.append(step)
            elif event.kind == Kind.STEP_DONE:
                done[step] += 1
                steps[step] = json.dumps(event.payload["result"], sort_keys=True)
            elif event.kind in (Kind.AGENT_ENDED, Kind.RUN_FINISHED):
                done[step] += 1
                steps[step] = json.dumps(event.payload, sort_keys=True)
    report = verify(stage.audit, stage.keys)
    problems += [f"audit: {problem}" for problem in report.problems]
    if not report.ok:
        problems.append("the audit log does not verify")
    calls = len((stage.root / "effects.log").read_bytes().splitlines())
    return Traces(files, steps, done, tuple(repeated), _audited(stage), calls, tuple(problems))


def _audited(stage: Stage) -> Counter[str]:
    """How often each effect was recorded in the audit log; a kill may cause a second record."""
    return Counter(
        f"{record.action} {record.subject}"
        for record in records(stage.audit, stage.keys, limit=100_000)
        if record.action in ("file.write", "copy_file", "move_file")
    )


def differences(wanted: Traces, found: Traces) -> list[str]:
    """What a disturbed run did otherwise than the undisturbed one; empty if nothing."""
    wrong = list(found.problems)
    for name in sorted(wanted.files.keys() | found.files.keys()):
        if wanted.files.get(name) != found.files.get(name):
            wrong.append(f"file {name}: {wanted.files.get(name)} became {found.files.get(name)}")
    for step in sorted(wanted.steps.keys() | found.steps.keys()):
        if wanted.steps.get(step) != found.steps.get(step):
            wrong.append(f"step {step} is another: {found.steps.get(step)}")
    wrong += [f"step {step} is done {n} times" for step, n in found.done.items() if n != 1]
    wrong += [f"step {step} was begun again after it was done" for step in found.repeated]
    for effect in wanted.audited.keys() - found.audited.keys():
        wrong.append(f"not in the audit log: {effect}")
    return wrong
