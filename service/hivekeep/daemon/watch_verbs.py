"""Watched folders as verbs and routes of the local API.

Responsible for adding, listing, pausing, trying and removing them; watching is
``hivekeep.triggers``.  Invariant: a folder is paused or goes on only after that is journaled and in
the audit log, and what arrives during a pause is found when it ends.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
from anyio.to_thread import run_sync
from pydantic import Field

from hivekeep.daemon.asking import account_name
from hivekeep.daemon.gate import PolicyGate
from hivekeep.daemon.profile import Profile
from hivekeep.daemon.routing import Body, Routes
from hivekeep.daemon.watches import WatchRegistry
from hivekeep.daemon.wiring import resolved
from hivekeep.documents import file_sha256
from hivekeep.domain.actions import Action, ActionKind, Effect
from hivekeep.domain.errors import NotFoundError, PolicyDeniedError, UsageError
from hivekeep.domain.saying import say
from hivekeep.journal import Journal, NewEvent, encode
from hivekeep.recipes import find_recipe
from hivekeep.triggers import Inventory, WatchConfig, WatchService
from hivekeep.triggers.outlook import Fate, look_ahead

PAUSED, RESUMED = "watch.paused", "watch.resumed"


class WatchBody(Body):
    """A folder to watch.

    ``settle_seconds`` is how long a file must be quiet, also if it was closed; by default a moment
    then, and longer where the system does not tell.  ``batch_seconds`` is how long a result waits
    for further files.
    """

    folder: str
    recipe: str
    output: str = ""
    recursive: bool = False
    include: list[str] = Field(default_factory=list)
    exclude: list[str] = Field(default_factory=list)
    settle_seconds: float | None = Field(default=None, ge=0, le=3600)
    batch_seconds: float | None = Field(default=None, ge=0, le=600)


@dataclass(frozen=True, slots=True)
class WatchVerbs:
    """The verbs.

    :param is_own_output: whether Hivekeep wrote a file.
    :param changed: called when there is something new to be seen.
    """

    profile: Profile
    gate: PolicyGate
    journal: Journal
    inventory: Inventory
    watching: WatchService
    registry: WatchRegistry
    is_own_output: Callable[[Path], bool]
    changed: Callable[[], None]

    def listing(self) -> list[dict[str, Any]]:
        """Every watched folder with what the watcher says of it."""
        states = self.watching.status()
        return [
            {**encode(config), "state": states.get(config.id, "stopped")}
            for config in self.registry.configs
        ]

    async def add(self, body: WatchBody) -> dict[str, Any]:
        """Watch one more folder.

        :raises HivekeepError: if it does not exist, is watched already, or policy forbids it.
        """
        path = Path(body.folder)
        if not await anyio.Path(path).is_dir():
            raise NotFoundError(
                say("error.no_folder", "There is no folder '{path}'.", path=body.folder)
            )
        if any(config.folder == str(path) for config in self.registry.configs):
            raise UsageError(
                say("error.watched", "'{folder}' is watched already.", folder=body.folder),
                next_step="'hivekeep watch list'",
            )
        found = find_recipe(body.recipe, self.profile.recipes)
        await self.gate.require(Action(ActionKind.WATCH_FOLDER, path=str(path)))
        config = WatchConfig(
            id=f"w{secrets.token_hex(3)}",
            folder=str(path),
            recipe=body.recipe,
            recipe_hash=found.compile().recipe_hash,
            output=body.output or str(self.profile.results / path.name),
            recursive=body.recursive,
            include=tuple(body.include),
            exclude=tuple(body.exclude),
        )
        if (settle := body.settle_seconds) is not None:
            config = replace(config, settle_seconds=settle, closed_seconds=settle)
        if body.batch_seconds is not None:
            config = replace(config, batch_seconds=body.batch_seconds)
        self.registry.add(config)
        await self.watching.add(config)
        self.changed()
        return encode(config)  # type: ignore[no-any-return]

    async def remove(self, watch: str) -> dict[str, Any]:
        """Stop watching a folder."""
        config = self._config(watch)
        await self.watching.remove(watch)
        self.registry.remove(watch)
        self.changed()
        return encode(config)  # type: ignore[no-any-return]

    async def pause(self, watch: str) -> dict[str, Any]:
        """Pick nothing up from a folder until ``resume``; runs that have begun go on.

        :raises UsageError: if it is paused already.
        """
        config = self._config(watch)
        if config.paused:
            raise UsageError(
                say("error.paused", "'{folder}' is paused already.", folder=config.folder)
            )
        return await self._set(config, paused=True)

    async def resume(self, watch: str) -> dict[str, Any]:
        """Go on with a paused folder: what arrived meanwhile is found.

        :raises UsageError: if it is not paused.
        """
        config = self._config(watch)
        if not config.paused:
            raise UsageError(
                say("error.not_paused", "'{folder}' is not paused.", folder=config.folder)
            )
        return await self._set(config, paused=False)

    async def outlook(self, watch: str) -> dict[str, Any]:
        """What would be picked up from a folder now, and why the rest would not; starts nothing.

        :raises NotFoundError: if the folder is not there.
        :raises PolicyDeniedError: if policy does not let it be watched.
        """
        config = self._config(watch)
        policy = self.gate.policy.current()
        place = policy.decide(Action(ActionKind.WATCH_FOLDER, path=resolved(config.folder)))
        if place.effect is Effect.DENY:
            raise PolicyDeniedError(
                place.reason, rule=place.rule, why=f"{place.rule}, from {place.source}."
            )

        def denied(path: str, size: int) -> str:
            decision = policy.decide(Action(ActionKind.READ_FILE, path=resolved(path), size=size))
            return decision.reason if decision.effect is Effect.DENY else ""

        def look() -> dict[str, Any]:
            found = look_ahead(
                config, self.inventory, hash_file=file_sha256, is_own_output=self.is_own_output,
                denied=denied,
            )  # fmt: skip
            new = sum(file.fate is Fate.NEW for file in found.files)
            return {"watch": config.id, "paused": config.paused, "new": new, **encode(found)}

        return await run_sync(look)

    async def _set(self, config: WatchConfig, *, paused: bool) -> dict[str, Any]:
        by = account_name()
        kept = replace(config, paused=paused)
        outcome = "paused" if paused else "resumed"
        await self.gate.record(
            "watch.pause" if paused else "watch.resume", subject=config.folder, outcome=outcome,
            watch=config.id, by=by,
        )  # fmt: skip
        payload = {"watch": config.id, "folder": config.folder, "by": by}
        await self.journal.append([NewEvent("", PAUSED if paused else RESUMED, payload)])
        await run_sync(self.registry.add, kept)
        await self.watching.add(kept)
        self.changed()
        return {**encode(kept), "state": self.watching.status()[config.id]}

    def _config(self, watch: str) -> WatchConfig:
        config = next((c for c in self.registry.configs if c.id == watch), None)
        if config is None:
            raise NotFoundError(
                say("error.no_watch", "There is no watched folder '{watch}'.", watch=watch),
                next_step="'hivekeep watch list'",
            )
        return config


def add_watch_routes(routes: Routes, verbs: WatchVerbs) -> None:
    """The routes below ``/v1/watches``."""

    @routes.get("/v1/watches")
    async def list_watches() -> dict[str, Any]:
        return {"watches": verbs.listing()}

    @routes.post("/v1/watches", status=201)
    async def add_watch(body: WatchBody) -> dict[str, Any]:
        return await verbs.add(body)

    @routes.delete("/v1/watches/{watch}")
    async def remove_watch(watch: str) -> dict[str, Any]:
        return await verbs.remove(watch)

    @routes.post("/v1/watches/{watch}/pause")
    async def pause_watch(watch: str) -> dict[str, Any]:
        return await verbs.pause(watch)

    @routes.post("/v1/watches/{watch}/resume")
    async def resume_watch(watch: str) -> dict[str, Any]:
        return await verbs.resume(watch)

    @routes.get("/v1/watches/{watch}/outlook")
    async def look_ahead_at_watch(watch: str) -> dict[str, Any]:
        return await verbs.outlook(watch)
