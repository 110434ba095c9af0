"""The daemon's life: compose the parts, serve, and end cleanly.

Responsible for composition and lifetime only.  Invariant: parts are closed in the reverse order of
their opening, and a run under way is left in the journal for the next start.
"""

from __future__ import annotations

import logging
import os
import signal
import time
import uuid
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from hivekeep import __version__
from hivekeep.audit import AuditEvent, AuditLog
from hivekeep.daemon.api import create_api, create_routes
from hivekeep.daemon.approvals_api import ApprovalVerbs, add_approval_routes
from hivekeep.daemon.asking import Asking
from hivekeep.daemon.audit_policy import AuditPolicy, audit_settings
from hivekeep.daemon.bookkeeping import Bookkeeper
from hivekeep.daemon.changes import Changes
from hivekeep.daemon.clipboard_api import add_clipboard_route
from hivekeep.daemon.cluster import RAY, load_cluster
from hivekeep.daemon.corrections import Corrections
from hivekeep.daemon.desktop import Desktop
from hivekeep.daemon.desktop_api import add_desktop_routes
from hivekeep.daemon.enforcement import Enforcement
from hivekeep.daemon.examples import Examples, add_example_routes
from hivekeep.daemon.gate import PolicyGate
from hivekeep.daemon.mcp_api import McpDesk, add_mcp_routes, permit
from hivekeep.daemon.measuring import ModelBench
from hivekeep.daemon.mover import InputMover
from hivekeep.daemon.overview import Glance
from hivekeep.daemon.pause import Pause
from hivekeep.daemon.profile import Profile
from hivekeep.daemon.remote_models import RemoteDesk, add_remote_routes
from hivekeep.daemon.retention import Retention
from hivekeep.daemon.routing import Routes
from hivekeep.daemon.schedules_api import Planner, add_schedule_routes
from hivekeep.daemon.server import ApiServer, bind
from hivekeep.daemon.service import Parts, Service
from hivekeep.daemon.starting import OpenKeys
from hivekeep.daemon.watch_verbs import WatchVerbs
from hivekeep.daemon.watches import WatchRegistry
from hivekeep.daemon.wiring import (
    open_calibrations,
    open_store,
    policy_sources,
    recipe_action,
    resolved,
)
from hivekeep.deliverables import ChildPublisher
from hivekeep.documents import ReaderPool, file_sha256
from hivekeep.domain.actions import Action
from hivekeep.domain.documents import ReadLimits
from hivekeep.domain.errors import HivekeepError
from hivekeep.domain.fields import Plan
from hivekeep.engine.answer_cache import AnswerCache, CachedCompleter
from hivekeep.engine.local import LocalEngine
from hivekeep.engine.protocol import Engine
from hivekeep.engine.remote import RemoteEngine, RemoteModels
from hivekeep.engine.router import EngineRouter
from hivekeep.engine.store import ModelState, ModelStore
from hivekeep.journal import Event, Journal, journal_key
from hivekeep.journal.database import KEY_BYTES
from hivekeep.policy import InvalidPolicy, Policy, PolicyHolder
from hivekeep.recipes import find_recipe, known_fields
from hivekeep.secrets import KeyStore
from hivekeep.swarm.coordinator import Coordinator
from hivekeep.swarm.events import RunRecord
from hivekeep.swarm.ports import Limits, Ports
from hivekeep.tools import standard_registry
from hivekeep.tools.code import RunCode
from hivekeep.tools.mcp import McpHosts, Server, ServerFile
from hivekeep.triggers import Batch, Inventory, WatchService
from hivekeep.triggers.schedules import Schedules

if TYPE_CHECKING:
    from hivekeep.swarm.executors import ClusterSettings
    from hivekeep.swarm.executors.ray_cluster import RayExecutor

logger = logging.getLogger(__name__)


def run(profile: Profile, open_keys: OpenKeys) -> None:
    """Run the daemon of ``profile``, whose lock is held, until it is told to stop.

    :raises HivekeepError: if a part of it cannot be opened.
    """
    logging.getLogger("hivekeep").setLevel(logging.INFO)
    with ExitStack() as stack:
        keys = open_keys()
        holder = PolicyHolder(policy_sources(profile))
        audit = AuditLog.open(profile.audit, keys, audit_settings(holder.current()))
        stack.callback(audit.close)
        journal = stack.enter_context(
            Journal(profile.journal, key=journal_key(keys, profile.journal), clock=time.time)
        )
        inventory = stack.enter_context(Inventory(profile.inventory, clock=time.time))
        answers = stack.enter_context(
            AnswerCache(
                profile.answers, key=keys.get_or_create("answers", KEY_BYTES), clock=time.time
            )
        )
        daemon = _Daemon(profile, keys, audit, holder, journal, inventory, answers)
        anyio.run(partial(daemon.serve))


class StoreFiles:
    """The model store as the engine sees it."""

    def __init__(self, store: ModelStore) -> None:
        self._store = store

    def resolve(self, name: str) -> Path:
        """The verified file of an installed model."""
        return self._store.resolve(name)

    def installed(self) -> list[tuple[str, int]]:
        """What is here, with the bytes of memory each needs."""
        return [
            (status.entry.name, status.entry.memory)
            for status in self._store.list()
            if status.state is ModelState.INSTALLED
        ]


class _Daemon:
    """The composition of one process."""

    def __init__(
        self,
        profile: Profile,
        keys: KeyStore,
        audit: AuditLog,
        holder: PolicyHolder,
        journal: Journal,
        inventory: Inventory,
        answers: AnswerCache,
    ) -> None:
        self._answers = answers
        self._profile, self._keys, self._audit = profile, keys, audit
        self._journal, self._inventory = journal, inventory
        self._changes = Changes()
        self._records: dict[str, RunRecord] = {}
        self._asking = Asking(
            journal, audit, clock=time.time, new_id=_new_approval_id, changed=self._changes.notify,
            record_of=self._record_of,
        )  # fmt: skip
        self._pause = Pause(profile.root / "pause.json", clock=time.time)
        follow = AuditPolicy(audit, holder.current())
        self._gate = PolicyGate(holder, audit, self._asking, self._pause, follow.observe)
        self._store = open_store(profile)
        self._servers = ServerFile(profile.mcp, keys)
        self._mcp = McpHosts(
            self._servers.get, self._may_start, profile.root / "mcp", self._required
        )
        self._remote = RemoteDesk(RemoteModels(profile.remotes), self._store, keys, self._gate)
        self._stopping = anyio.Event()
        self._cluster = load_cluster(profile.cluster)
        self._ray = _executor(self._cluster) if self._cluster else None
        self._service: Service | None = None
        self._bookkeeper: Bookkeeper | None = None

    async def serve(self) -> None:
        """Serve until told to stop."""
        listener = bind(self._profile.socket)
        local = LocalEngine(
            StoreFiles(self._store), on_change=self._changes.notify,
            tuner=open_calibrations(self._profile),
        )  # fmt: skip
        remotes = self._remote.models
        remote = RemoteEngine(
            remotes.get, self._remote.permit, self._remote.key, on_change=self._changes.notify
        )
        async with local, remote, ReaderPool(ReadLimits(), required=self._required) as readers:
            engine = EngineRouter(local, remote, lambda name: name in remotes)
            coordinator = self._coordinator(engine, readers)
            self._records = coordinator.records
            self._bookkeeper = Bookkeeper(self._inventory, self._records)
            watching = WatchService(
                self._inventory,
                self._on_batch,
                is_own_output=self._bookkeeper.is_own_output,
                hash_file=file_sha256,
            )
            registry = self._registry()
            self._service = Service(
                Parts(
                    profile=self._profile, gate=self._gate, audit=self._audit, keys=self._keys,
                    journal=self._journal, store=self._store, remotes=remotes, engine=engine,
                    coordinator=coordinator, watches=self._watches(watching, registry),
                    changes=self._changes, stop=self._stopping.set, cluster=self._cluster,
                )
            )  # fmt: skip
            for config in registry.configs:
                await watching.add(config)
            routes = create_routes(self._service)
            add_remote_routes(routes, self._remote, engine)
            add_approval_routes(routes, ApprovalVerbs(self._asking.desk, self._service))
            desk = McpDesk(
                self._servers, self._mcp, self._gate, coordinator.tools, coordinator.offer
            )
            desk.offer()
            add_mcp_routes(routes, desk)
            bench = self._bench(coordinator)
            self._add_desktop(routes, coordinator, readers, bench)
            schedules = self._add_schedules(routes)
            server = ApiServer(create_api(routes))
            await self._note("daemon.start")
            async with anyio.create_task_group() as tasks:
                if self._ray is not None:
                    tasks.start_soon(self._ray.serve)
                tasks.start_soon(self._mcp.serve)
                tasks.start_soon(coordinator.serve)
                tasks.start_soon(self._bookkeeper.run)
                tasks.start_soon(Retention(self._gate, self._journal, self._records, time.time).run)
                tasks.start_soon(watching.run)
                tasks.start_soon(self._asking.serve)
                tasks.start_soon(self._enforcement(coordinator).serve)
                tasks.start_soon(schedules.run)
                tasks.start_soon(bench.serve)
                tasks.start_soon(server.run_on, listener)
                tasks.start_soon(self._stop_on_signal)
                logger.info("ready: profile %s, process %d", self._profile.root, os.getpid())
                await self._stopping.wait()
                server.stop()
                tasks.cancel_scope.cancel()
        await self._note("daemon.stop")
        self._profile.socket.unlink(missing_ok=True)

    def _coordinator(self, engine: Engine, readers: ReaderPool) -> Coordinator:
        ports = Ports(
            reader=readers,
            engine=CachedCompleter(
                engine, self._answers, self._model_sha256, self._may_keep_answers
            ),
            gate=self._gate,
            publisher=ChildPublisher(),
            mover=InputMover(),
            resolve=resolved,
            monotonic=time.monotonic,
            new_id=_new_run_id,
            observe=self._observe,
            program_version=__version__,
            executors={RAY: self._ray} if self._ray else {},
            known_fields=known_fields,
        )
        rules = self._gate.policy.current().settings.runs
        limits = Limits(agents=max(rules.max_agents, 1), steps=rules.max_steps)
        tools = standard_registry().with_tools(RunCode(self._required))
        return Coordinator(self._journal, ports, limits, tools=tools)

    def _enforcement(self, coordinator: Coordinator) -> Enforcement:
        def use_of(plan: Plan, policy: Policy) -> Action | None:
            recipe = self._service.recipes.get(plan.recipe_hash) if self._service else None
            try:
                recipe = recipe or find_recipe(plan.recipe, self._profile.recipes)
            except HivekeepError:
                return None
            same = recipe.sha256 == plan.recipe_hash
            return recipe_action(recipe, policy) if same else None

        return Enforcement(self._gate.policy, coordinator, self._changes, use_of, resolved)

    def _model_sha256(self, model: str) -> str:
        """Empty for a remote model: what answers there may change, so nothing of it is kept."""
        return "" if model in self._remote.models else self._store.entry(model).sha256

    def _may_keep_answers(self) -> bool:
        return self._gate.policy.current().settings.models.keep_answers

    async def _may_start(self, server: Server) -> None:
        await permit(self._gate, server)

    def _desktop_rules(self) -> dict[str, Any]:
        """What the interface has to know of policy; it obeys, and asks nobody again."""
        rules = self._gate.policy.current().settings.desktop
        return {
            "hidden": list(rules.hidden_tray_actions),
            "notifications": rules.notifications,
            "clipboard": rules.clipboard,
        }

    def _required(self) -> tuple[str, ...]:
        """The protections without which nothing foreign is opened or run."""
        return tuple(self._gate.policy.current().settings.sandbox.required)

    def _watches(self, watching: WatchService, registry: WatchRegistry) -> WatchVerbs:
        assert self._bookkeeper is not None
        return WatchVerbs(
            profile=self._profile, gate=self._gate, journal=self._journal,
            inventory=self._inventory, watching=watching, registry=registry,
            is_own_output=self._bookkeeper.is_own_output, changed=self._changes.notify,
        )  # fmt: skip

    def _bench(self, coordinator: Coordinator) -> ModelBench:
        return ModelBench(
            self._store, open_calibrations(self._profile), self._gate,
            busy=lambda: coordinator.busy, changed=self._changes.notify, clock=time.time,
        )  # fmt: skip

    def _add_desktop(
        self, routes: Routes, coordinator: Coordinator, readers: ReaderPool, bench: ModelBench
    ) -> None:
        assert self._service is not None
        desktop = Desktop(
            profile=self._profile, gate=self._gate, coordinator=coordinator, readers=readers,
            journal=self._journal, corrections=Corrections(self._journal, self._audit),
            store=self._store, bench=bench, start_run=self._service.start_run,
        )  # fmt: skip
        glance = Glance(
            lambda: self._records, self._asking.desk, self._pause, self._problems, time.time,
            self._desktop_rules,
        )  # fmt: skip
        add_desktop_routes(routes, desktop, glance, self._pause, self._changes)
        add_example_routes(routes, Examples(desktop))
        add_clipboard_route(routes, self._gate)

    def _add_schedules(self, routes: Routes) -> Schedules:
        assert self._service is not None
        planner = Planner(
            self._gate, partial(find_recipe, user_dir=self._profile.recipes),
            self._service.start_run,
        )  # fmt: skip
        schedules = Schedules(self._profile.schedules, planner.fire, troubled=planner.troubled)
        add_schedule_routes(routes, planner, schedules)
        return schedules

    def _problems(self) -> list[dict[str, str]]:
        problems = []
        policy = self._gate.policy.current()
        if isinstance(policy, InvalidPolicy):
            problems.append({"code": "policy", "text": str(policy.problem)})
        audit = self._audit.state
        if audit.state != "ok":
            text = f"The audit log cannot be written, so nothing is done: {audit.why}."
            problems.append({"code": "audit", "text": text})
        return problems

    def _record_of(self, run: str) -> RunRecord | None:
        return self._records.get(run)

    def _registry(self) -> WatchRegistry:
        """The watched folders, with the hashes their recipes have now."""
        registry = WatchRegistry(self._profile.watches)
        for config in registry.configs:
            try:
                recipe = find_recipe(config.recipe, self._profile.recipes)
                digest = recipe.compile().recipe_hash
            except HivekeepError as error:
                # Its batches will say the same; the folder stays listed until it is repaired.
                logger.warning("watched folder %s: %s", config.id, error)
                continue
            if digest != config.recipe_hash:
                registry.add(replace(config, recipe_hash=digest))
        return registry

    def _observe(self, event: Event) -> None:
        if self._bookkeeper is not None:
            self._bookkeeper.observe(event)
        self._asking.observe(event)
        self._changes.notify()

    async def _on_batch(self, batch: Batch) -> None:
        assert self._service is not None
        await self._service.on_batch(batch)

    async def _stop_on_signal(self) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                self._stopping.set()

    async def _note(self, action: str) -> None:
        event = AuditEvent("daemon", action, subject=__version__, outcome="done")
        await anyio.to_thread.run_sync(self._audit.append, event)


def _executor(cluster: ClusterSettings) -> RayExecutor:
    from hivekeep.swarm.executors.ray_cluster import RayExecutor  # few profiles have a cluster

    return RayExecutor(cluster)


def _new_approval_id() -> str:
    """Short enough to type."""
    return f"a{uuid.uuid4().hex[:8]}"


def _new_run_id() -> str:
    """Sortable by time, short enough to type."""
    return f"{time.strftime('%y%m%d-%H%M%S')}-{uuid.uuid4().hex[:4]}"
