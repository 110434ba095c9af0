"""What can be done with a run besides starting and reading it, one method per verb.

Responsible for turning a request of the local API into a call of the coordinator or of replay; the
decisions are theirs and the gate's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from anyio.to_thread import run_sync

from hivekeep.daemon.inputs import describe, expand
from hivekeep.daemon.profile import Profile
from hivekeep.daemon.views import run_summary
from hivekeep.deliverables import ChildPublisher
from hivekeep.domain.errors import UsageError
from hivekeep.domain.fields import Plan, PlanKind
from hivekeep.domain.runs import TriggerKind
from hivekeep.journal import Journal, encode
from hivekeep.recipes import find_recipe
from hivekeep.swarm.asking import planning_specs
from hivekeep.swarm.coordinator import Coordinator
from hivekeep.swarm.planning import editable, graph_from_yaml, graph_yaml
from hivekeep.swarm.recording import Recording, record_run

Submit = Callable[..., Awaitable[Any]]
_ASK_TOKENS = 700
# What a value stands beside is chosen by its words; on a CPU ten times as much text takes a minute.
_ASK_FIRST_LOOK = 1_500


class RunVerbs:
    """The verbs; ``submit`` is the service's own way to start a run, through policy and all."""

    def __init__(
        self, coordinator: Coordinator, profile: Profile, journal: Journal, submit: Submit
    ) -> None:
        self._coordinator = coordinator
        self._profile = profile
        self._journal = journal
        self._submit = submit

    async def ask(
        self, request: str, paths: Sequence[str], *, output: str, model: str, show_plan: bool
    ) -> dict[str, Any]:
        """Begin a free request; its plan is made first.

        :raises HivekeepError: if a path does not exist, the model is not installed, or policy
            forbids it.
        """
        files = await run_sync(expand, paths) if paths else []
        inputs = [await run_sync(describe, path) for path in files]
        plan = ask_plan(request)
        plan = replace(plan, model=model) if model else plan
        record = await self._submit(
            None, plan, inputs, output, plan.title, TriggerKind.COMMAND,
            goal=request, show_plan=show_plan,
        )  # fmt: skip
        return run_summary(record)

    async def accept_plan(self, run: str, text: str) -> dict[str, Any]:
        """Start a free request by its plan, or by the edited plan in ``text``.

        :raises UsageError: if the run does not wait for that or the plan is not sound.
        """
        graph = graph_from_yaml(text) if text.strip() else None
        return run_summary(await self._coordinator.accept_plan(run, graph))

    def check_plan(self, run: str, text: str) -> dict[str, Any]:
        """Whether ``accept_plan`` would take ``text``: the plan as data and as YAML, or why not.

        :raises NotFoundError: if there is no such run.
        """
        record = self._coordinator.record(run)
        try:
            graph = graph_from_yaml(text) if text.strip() else None
            _, chosen = self._coordinator.check_plan(record.id, graph)
        except UsageError as error:
            return {"ok": False, "problem": error.as_dict(), "tasks": [], "yaml": ""}
        return {
            "ok": True,
            "problem": None,
            "tasks": editable(chosen),
            "yaml": graph_yaml(chosen),
        }

    def tools(self) -> list[dict[str, str]]:
        """What a plan may give to a task: each tool's name, how far it reaches, what it does."""
        return [
            {"name": spec.name, "effect": spec.effect.value, "description": spec.description}
            for spec in planning_specs(self._coordinator.tools)
        ]

    async def pause(self, run: str) -> dict[str, Any]:
        """Let a run rest until it is resumed."""
        return run_summary(await self._coordinator.pause(run))

    async def rerun(self, run: str, *, recipe: str, model: str) -> dict[str, Any]:
        """Do a run's work again, with another recipe or model if given, keeping what is valid.

        Documents with the same content are not read again, and questions that did not change are
        not asked again.

        :raises UsageError: if the run is under way.
        """
        old = self._coordinator.record(run)
        if not old.state.at_rest:
            raise UsageError(f"Run {old.id} is under way.", next_step="Wait, or cancel it first.")
        request = old.request
        paths = [Path(source.path) for source in request.inputs]
        inputs = [await run_sync(describe, path) for path in paths]
        if request.plan.kind is PlanKind.ASK:
            found, plan = None, request.plan
        else:
            found = find_recipe(recipe or request.plan.recipe, self._profile.recipes)
            plan = found.compile()
        record = await self._submit(
            found, replace(plan, model=model) if model else plan, inputs, request.output,
            request.title, TriggerKind.COMMAND, goal=request.goal, show_plan=request.show_plan,
            previous=old.id,
        )  # fmt: skip
        return run_summary(record)

    async def resolve(self, run: str, agent: str, step: str, *, happened: bool) -> dict[str, Any]:
        """Say whether the effect of a step in doubt took place; the run goes on."""
        return run_summary(await self._coordinator.resolve(run, agent, step, happened=happened))

    async def replay(self, run: str) -> dict[str, Any]:
        """Execute a run again from its journal and compare the deliverables.

        :raises UsageError: if the run has not finished.
        """
        from hivekeep.swarm.replay import replay  # seldom asked for in the life of a daemon

        return encode(await replay(self._recording(run), publisher=ChildPublisher()))  # type: ignore[no-any-return]

    async def export(self, run: str) -> dict[str, Any]:
        """A run as a recording that can be replayed anywhere, as text."""
        recording = self._recording(run)
        return {"run": recording.run, "recording": await run_sync(recording.text)}

    def quarantine(self) -> list[dict[str, Any]]:
        """The documents that are not opened any more."""
        return [encode(poison) for poison in self._coordinator.quarantine.held]

    async def release(self, sha256: str) -> dict[str, Any]:
        """Let a document be opened again."""
        return encode(await self._coordinator.quarantine.release(sha256))  # type: ignore[no-any-return]

    def _recording(self, run: str) -> Recording:
        record = self._coordinator.record(run)
        return record_run(self._journal, record)


def ask_plan(request: str) -> Plan:
    """The plan of a run for a free request, before its tasks are known."""
    goal = " ".join(request.split())
    return Plan(
        recipe="ask",
        recipe_version="1",
        recipe_hash=hashlib.sha256(request.encode()).hexdigest(),
        kind=PlanKind.ASK,
        title=goal if len(goal) <= 80 else f"{goal[:79]}…",
        instructions="You work on a request about documents.",
        fields=(),
        max_tokens=_ASK_TOKENS,
        first_look_tokens=_ASK_FIRST_LOOK,
    )
