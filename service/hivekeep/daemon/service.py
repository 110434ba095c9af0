"""What the daemon can do, one method per verb of the local API.

Responsible for passing each request through policy, recipes and the coordinator; the parts are
handed in by ``daemon.main``.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import psutil

from hivekeep import __version__
from hivekeep.audit import AuditLog
from hivekeep.daemon.auditing import AuditDesk
from hivekeep.daemon.changes import Changes
from hivekeep.daemon.cluster import RAY
from hivekeep.daemon.gate import PolicyGate
from hivekeep.daemon.inputs import describe, expand
from hivekeep.daemon.profile import Profile
from hivekeep.daemon.run_verbs import RunVerbs
from hivekeep.daemon.views import run_detail, run_progress, run_summary
from hivekeep.daemon.watch_verbs import WatchVerbs
from hivekeep.daemon.wiring import recipe_action
from hivekeep.domain.actions import Action, ActionKind
from hivekeep.domain.budgets import Budget
from hivekeep.domain.errors import UsageError
from hivekeep.domain.fields import Plan
from hivekeep.domain.runs import InputFile, TriggerKind
from hivekeep.domain.saying import say
from hivekeep.engine.protocol import Engine
from hivekeep.engine.remote.models import RemoteModels
from hivekeep.engine.store import ModelStore
from hivekeep.journal import Journal, encode
from hivekeep.recipes import Recipe, find_recipe
from hivekeep.secrets import KeyStore
from hivekeep.swarm.coordinator import Coordinator
from hivekeep.swarm.events import RunRequest
from hivekeep.swarm.executors import ClusterSettings
from hivekeep.swarm.requests import parted
from hivekeep.triggers import Batch


@dataclass(frozen=True, slots=True)
class Parts:
    """What the service is composed of."""

    profile: Profile
    gate: PolicyGate
    audit: AuditLog
    journal: Journal
    keys: KeyStore
    store: ModelStore
    remotes: RemoteModels
    engine: Engine
    coordinator: Coordinator
    watches: WatchVerbs
    changes: Changes
    stop: Callable[[], None]
    cluster: ClusterSettings | None = None


class Service:
    """The daemon's verbs."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.recipes: dict[str, Recipe] = {}
        """The recipes that runs were started with, by the hash of their plans."""
        self.runs = RunVerbs(parts.coordinator, parts.profile, parts.journal, self._submit)
        self.watches = parts.watches
        self.audit = AuditDesk(parts.audit, parts.keys, parts.gate)

    # Runs

    async def start_run(
        self,
        recipe: str,
        paths: Sequence[str],
        *,
        output: str,
        title: str,
        model: str = "",
        due: str = "",
        executor: str = "",
    ) -> dict[str, Any]:
        """Begin a run over files and folders; returns its summary.

        :param due: the firing of a schedule that asks; it gets one run, also if it asks again.
        :param executor: where documents are read and checked: ``ray``, or here.

        :raises HivekeepError: if a path does not exist, the recipe is wrong, the model is not
            installed, or policy forbids it.
        """
        found = find_recipe(recipe, self._parts.profile.recipes)
        files = await anyio.to_thread.run_sync(expand, paths)
        if not files:
            raise UsageError(
                say("error.no_files", "There is nothing to do."),
                why=say("why.empty_folders", "The folders hold no files."),
                next_step=say("next.give_files", "Give files, or a folder with files in it."),
            )
        inputs = [await anyio.to_thread.run_sync(describe, path) for path in files]
        plan = found.compile()
        if model:
            plan = replace(plan, model=model)
        trigger = TriggerKind.SCHEDULE if due else TriggerKind.COMMAND
        return run_summary(
            await self._submit(
                found, plan, inputs, output, title, trigger, batch=due, executor=executor
            )
        )

    async def on_batch(self, batch: Batch) -> None:
        """A watched folder has new files: they join the run at work there, or begin one."""
        await self._parts.gate.require(Action(ActionKind.WATCH_FOLDER, path=batch.config.folder))
        found = find_recipe(batch.config.recipe, self._parts.profile.recipes)
        inputs = [InputFile(str(f.path), f.sha256, f.size) for f in batch.files]
        await self._submit(
            found,
            found.compile(),
            inputs,
            batch.config.output,
            f"{found.title}: {Path(batch.config.folder).name}",
            TriggerKind.WATCH,
            watch=batch.config.id,
            batch=batch.id,
            batch_seconds=batch.config.batch_seconds,
        )

    async def _submit(
        self,
        recipe: Recipe | None,
        plan: Plan,
        inputs: Sequence[InputFile],
        output: str,
        title: str,
        trigger: TriggerKind,
        *,
        watch: str = "",
        batch: str = "",
        batch_seconds: float = 0.0,
        goal: str = "",
        show_plan: bool = True,
        previous: str = "",
        executor: str = "",
    ) -> Any:
        gate = self._parts.gate
        if executor == RAY:
            if self._parts.cluster is None:
                raise UsageError(
                    "There is no Ray cluster set up for this profile.",
                    why=f"{self._parts.profile.cluster} did not exist when the daemon started.",
                    next_step="docs/outgrowing-one-machine.md says how to set one up.",
                )
            await gate.require(Action(ActionKind.RAY_CLUSTER, host=self._parts.cluster.cluster))
        if recipe is not None:
            use = await anyio.to_thread.run_sync(recipe_action, recipe, gate.policy.current())
            await gate.require(use)
            self.recipes[plan.recipe_hash] = recipe
        await gate.require(Action(ActionKind.START_RUN, recipe=plan.recipe, count=len(inputs)))
        model_sha256 = await self._allow_model(plan.model)
        draft_sha256 = await self._allow_model(plan.draft_model) if plan.draft_model else ""
        if plan.second_look and plan.second_look.model:
            await self._allow_model(plan.second_look.model)
        rules = gate.policy.current().settings.runs
        run = plan.limits.run.within(Budget(tokens=rules.max_tokens))
        plan = replace(plan, limits=replace(plan.limits, run=run))
        if rules.show_plans != "ask":
            show_plan = rules.show_plans == "always"
        request = RunRequest(
            plan=plan,
            inputs=tuple(inputs),
            title=title or plan.title,
            trigger=trigger,
            output=output or str(self._parts.profile.results),
            watch=watch,
            batch=batch,
            batch_seconds=batch_seconds,
            model_sha256=model_sha256,
            draft_model_sha256=draft_sha256,
            goal=goal,
            show_plan=show_plan,
            previous=previous,
            executor=executor if executor == RAY else "",
        )
        coordinator = self._parts.coordinator
        # A person who asks for too much is told; nobody is there to be told by a watched folder.
        parts = parted(request, coordinator.limits) if watch else [request]
        first, *_ = [await coordinator.submit(part) for part in parts]
        return first

    async def _allow_model(self, name: str) -> str:
        """The hash of a model that policy allows; empty for a remote one, whose host it allows."""
        parts, sha256 = self._parts, ""
        if name in parts.remotes:
            host = parts.remotes.get(name).host
            await parts.gate.require(Action(ActionKind.CONNECT, host=host))
        else:
            sha256 = parts.store.entry(name).sha256
            await anyio.to_thread.run_sync(parts.store.resolve, name)
        await parts.gate.require(Action(ActionKind.USE_MODEL, model=name, model_sha256=sha256))
        return sha256

    def list_runs(self, limit: int) -> list[dict[str, Any]]:
        """Summaries, newest first."""
        newest = list(reversed(self._parts.coordinator.records.values()))
        return [run_summary(record) for record in newest[:limit]]

    def show_run(self, run: str) -> dict[str, Any]:
        """Everything about one run."""
        return run_detail(self._parts.coordinator.record(run))

    def follow_run(self, run: str) -> AsyncIterator[dict[str, Any]]:
        """Progress views, at most six a second, until the run has ended.

        :raises NotFoundError: if there is no such run; at once, not at the first view.
        """
        record = self._parts.coordinator.record(run)

        async def views() -> AsyncIterator[dict[str, Any]]:
            changes, seen = self._parts.changes, -1
            while True:
                seen = await changes.wait(seen, at_most=1.0)
                view = run_progress(record, time.time())
                yield {**view, "engine": encode(self._parts.engine.status())}
                if record.state.at_rest:
                    return
                await anyio.sleep(0.15)

        return views()

    async def cancel_run(self, run: str) -> dict[str, Any]:
        """Stop a run."""
        return run_summary(await self._parts.coordinator.cancel(run))

    async def resume_run(self, run: str, *, retry_failed: bool) -> dict[str, Any]:
        """Go on with a run."""
        return run_summary(await self._parts.coordinator.resume(run, retry_failed=retry_failed))

    # The system

    def status(self) -> dict[str, Any]:
        """What the daemon is doing and what it uses; ``rss`` in bytes."""
        parts = self._parts
        running = [r for r in parts.coordinator.records.values() if not r.state.at_rest]
        return {
            "state": "working" if running else "idle",
            "version": __version__,
            "pid": os.getpid(),
            "user": os.getuid(),
            "rss": psutil.Process().memory_info().rss,
            "profile": str(parts.profile.root),
            "runs": len(running),
            "watches": len(parts.watches.registry.configs),
            "engine": encode(parts.engine.status()),
            "keys": parts.keys.describe(),
            "audit": encode(parts.audit.state),
        }

    def policy_view(self) -> dict[str, Any]:
        """The policy in force, key by key."""
        rows = self._parts.gate.policy.current().rows()
        return {"policy": [encode(row) for row in rows]}

    async def journal_check(self) -> dict[str, Any]:
        """What is wrong with the journal's file; nothing, as a rule."""
        return {"problems": await anyio.to_thread.run_sync(self._parts.journal.check)}

    def request_stop(self) -> None:
        """Let the daemon end; runs under way go on at its next start."""
        self._parts.stop()
