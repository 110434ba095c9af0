"""Scripted ports: a swarm without files, models or policy, whose every effect is counted."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from hivekeep.domain.actions import Action, ActionKind
from hivekeep.domain.documents import Block, Document
from hivekeep.domain.errors import DocumentError, EngineError, PolicyDeniedError
from hivekeep.domain.fields import FieldSpec, FieldType, Plan, PlanKind
from hivekeep.domain.inference import FinishEvent, FinishReason, GenerateRequest
from hivekeep.domain.report import RunReport
from hivekeep.domain.runs import InputFile, TriggerKind, Usage
from hivekeep.journal import Event, Journal
from hivekeep.swarm.coordinator import Coordinator
from hivekeep.swarm.events import RunRequest
from hivekeep.swarm.ports import Limits, Ports
from hivekeep.tools import Registry


class SimulatedKillError(BaseException):
    """Stands for the end of the process; nothing may catch it."""


def plan(**more: Any) -> Plan:
    """A recipe with two fields."""
    values: dict[str, Any] = {
        "recipe": "test", "recipe_version": "1", "recipe_hash": "ab" * 32,
        "kind": PlanKind.EXTRACT, "title": "Test", "instructions": "Read.",
        "fields": (
            FieldSpec("number", FieldType.IDENTIFIER, "Number"),
            FieldSpec("total", FieldType.AMOUNT, "Total"),
        ),
        # Steps are what is tested: labels would spare the model calls.
        "labels_first": False,
    }  # fmt: skip
    return Plan(**{**values, **more})


def document(name: str, text: str) -> Document:
    """A document of one page, a block for each line."""
    blocks = tuple(Block(i, 1, line) for i, line in enumerate(text.splitlines()))
    return Document(name, "text/plain", "00" * 32, len(text), 1, blocks)


@dataclass
class World:
    """What the scripted ports did, and what they are told to do.

    ``on_effect`` is called before each effect with its name; raising there is a kill.
    """

    texts: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    published: list[Path] = field(default_factory=list)
    denied: set[ActionKind] = field(default_factory=set)
    most_live: int = 0
    live: int = 0
    on_effect: Callable[[str], None] = lambda _name: None
    answer_delay: float = 0.0
    say: Callable[[GenerateRequest], str | None] = lambda _request: None
    requests: list[GenerateRequest] = field(default_factory=list)
    crash_reader: Counter[str] = field(default_factory=Counter)

    async def read(self, path: Path, *, expected_sha256: str = "") -> Document:
        """DocumentReader."""
        self.on_effect(f"read {path.name}")
        self.done[f"read {path.name}"] += 1
        if self.crash_reader[path.name] > 0:
            self.crash_reader[path.name] -= 1
            raise DocumentError(
                f"'{path.name}' killed its reader.", reason="crashed", why="Signal."
            )
        text = self.texts[path.name]
        if text == "broken":
            raise DocumentError(f"'{path.name}' is damaged.", reason="damaged")
        return document(path.name, text)

    async def complete(self, request: GenerateRequest) -> FinishEvent:
        """Completer."""
        self.live += 1
        self.most_live = max(self.most_live, self.live)
        try:
            self.on_effect(f"generate {request.id}")
            await anyio.sleep(self.answer_delay)
            self.done[f"generate {request.id}"] += 1
            self.requests.append(request)
            usual = self.answers.get(request.agent[-4:], '{"number":"A-1","total":"10.00"}')
            text = self.say(request) or usual
            if text == "fail":
                raise EngineError("The model failed.")
            usage = Usage(100, 10, 5)
            return FinishEvent(request.id, text, FinishReason.STOP, usage, 0.1)
        finally:
            self.live -= 1

    async def require(self, action: Action, *, run: str, agent: str) -> str:
        """Gate."""
        if action.kind in self.denied:
            raise PolicyDeniedError("No.", rule="test.rule")
        return "test.rule"

    async def record(
        self, action: str, *, run: str, agent: str, subject: str, outcome: str, **detail: Any
    ) -> None:
        """Gate."""
        self.done[f"audit {action}"] += 1

    def prepare(self, report: RunReport, folder: Path) -> list[dict[str, Any]]:
        """Publisher."""
        self.on_effect("prepare")
        target = folder / f"{report.run}.json"
        temporary = target.with_suffix(".part")
        temporary.write_text(json.dumps([d.state.value for d in report.documents]))
        return [{"temporary": str(temporary), "target": str(target), "sha256": ""}]

    def publish(self, prepared: dict[str, Any]) -> Path:
        """Publisher: harmless to repeat."""
        self.on_effect("publish")
        temporary, target = Path(prepared["temporary"]), Path(prepared["target"])
        if temporary.exists():
            temporary.rename(target)
            self.published.append(target)
        assert target.exists()
        return target


class NoMover:
    """A mover that must not be called."""

    def prepare(self, kind: str, source: Path, target: Path, sha256: str) -> dict[str, Any]:
        """Never."""
        raise AssertionError(source)

    def perform(self, prepared: dict[str, Any]) -> Path:
        """Never."""
        raise AssertionError(prepared)


def coordinator(
    world: World, journal: Journal, *, limits: Limits | None = None,
    observe: Callable[[Event], None] = lambda _event: None, mover: Any = None,
    publisher: Any = None, tools: Registry | None = None,
    monotonic: Callable[[], float] | None = None,
) -> Coordinator:  # fmt: skip
    """A coordinator over ``world``, whose clock ticks once each time it is read."""
    # A later life of the same journal may not give an earlier run's name again.
    taken = {event.run for event in journal.events()}
    names = (f"run{number}" for number in itertools.count(1))
    ids = (name for name in names if name not in taken)
    ticks = itertools.count()
    ports = Ports(
        reader=world, engine=world, gate=world, publisher=publisher or world,
        mover=mover or NoMover(), monotonic=monotonic or (lambda: float(next(ticks))),
        new_id=lambda: next(ids), observe=observe,
    )  # fmt: skip
    return Coordinator(journal, ports, limits or Limits(), tools)


def request(folder: Path, names: list[str], chosen: Plan | None = None, **more: Any) -> RunRequest:
    """A run over ``names``."""
    inputs = tuple(InputFile(f"/inbox/{name}", "11" * 32, 10) for name in names)
    return RunRequest(
        chosen or plan(), inputs, "Test", TriggerKind.COMMAND, output=str(folder), **more
    )
