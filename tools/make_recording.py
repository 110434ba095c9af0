"""Records a run over the bundled sample invoices for ``tests/recordings``.

The documents are read by the real readers; the answers are those that ``samples/truth.json`` holds,
so that no model is needed and the recording stays the same on every machine.
Run: ``python tools/make_recording.py``.
"""

from __future__ import annotations

import json
import tempfile
from datetime import UTC
from pathlib import Path
from typing import Any, cast

import anyio

from hivekeep.deliverables import ReportPublisher
from hivekeep.documents import ReaderPool, file_sha256
from hivekeep.domain.actions import Action
from hivekeep.domain.documents import Document, ReadLimits
from hivekeep.domain.inference import FinishEvent, FinishReason, GenerateRequest
from hivekeep.domain.runs import InputFile, TriggerKind, Usage
from hivekeep.journal import KEY_BYTES, Event, Journal
from hivekeep.recipes import builtin_recipes
from hivekeep.swarm.coordinator import Coordinator
from hivekeep.swarm.events import Kind, RunRequest
from hivekeep.swarm.ports import Limits, Ports
from hivekeep.swarm.recording import Recording, record_run, save_recording

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "service" / "hivekeep" / "samples"
TARGET = ROOT / "tests" / "recordings" / "invoices.jsonl.gz"
NAMES = ("broken-download.pdf", "invoice-harbour-lights.pdf", "mail-invoice-kestrel.eml")
SHOWN = "/home/ada/Invoices"
STARTED = 1_767_225_600.0


class Stand:
    """Everything outside: real readers, true answers, and nobody who forbids anything."""

    def __init__(self, readers: ReaderPool) -> None:
        self._readers = readers
        self._truth = json.loads((SAMPLES / "truth.json").read_text(encoding="utf-8"))

    async def read(self, path: Path, *, expected_sha256: str = "") -> Document:
        """The real reader, under the name that the recording shows."""
        return await self._readers.read(
            SAMPLES / "invoices" / path.name, expected_sha256=expected_sha256
        )

    async def complete(self, request: GenerateRequest) -> FinishEvent:
        """What the truth says of the document that the agent works on."""
        wanted = list((request.schema or {}).get("properties", {}))
        name = NAMES[int(request.agent[-4:]) - 1]
        fields = self._truth[f"invoices/{name}"]
        answer = {key: self._said(fields.get(key)) for key in wanted}
        usage = Usage(prompt=len(request.messages[-1].content) // 3, completion=60)
        return FinishEvent(request.id, json.dumps(answer), FinishReason.STOP, usage, 0.0)

    async def require(self, action: Action, *, run: str, agent: str) -> str:  # noqa: ARG002
        """Allowed."""
        return "recording"

    async def record(self, action: str, **detail: Any) -> None:
        """Nothing is audited here."""

    @staticmethod
    def _said(value: Any) -> Any:
        if isinstance(value, list):
            return [{k: None if v is None else str(v) for k, v in row.items()} for row in value]
        return None if value is None else str(value)


async def make() -> Recording:
    """The recording."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with ReaderPool(ReadLimits()) as readers:
            stand = Stand(readers)
            ended = anyio.Event()

            def observe(event: Event) -> None:
                if event.kind in (Kind.RUN_FINISHED, Kind.RUN_FAILED):
                    ended.set()

            with Journal(
                folder / "journal.db", key=bytes(KEY_BYTES), clock=lambda: STARTED
            ) as journal:
                ports = Ports(
                    reader=stand, engine=stand, gate=stand, publisher=ReportPublisher(UTC),
                    mover=cast(Any, None), observe=observe, monotonic=lambda: 0.0,
                    new_id=lambda: "260101-000000-reco",
                    program_version="0.1.0",
                )  # fmt: skip
                coordinator = Coordinator(journal, ports, Limits())
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(coordinator.serve)
                    await anyio.wait_all_tasks_blocked()
                    record = await coordinator.submit(_request(folder))
                    await ended.wait()
                    tasks.cancel_scope.cancel()
                return record_run(journal, record)


def _request(folder: Path) -> RunRequest:
    inputs = []
    for name in NAMES:
        sha256, size = file_sha256(SAMPLES / "invoices" / name)
        inputs.append(InputFile(f"{SHOWN}/{name}", sha256, size))
    plan = builtin_recipes()["invoices"].compile()
    return RunRequest(plan, tuple(inputs), plan.title, TriggerKind.COMMAND, output=str(folder))


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    save_recording(anyio.run(make), TARGET)
    print(TARGET, TARGET.stat().st_size)
