"""What the desktop asks the daemon for beyond the command line's verbs.

Responsible for details of agents, pictures of pages, corrections, recipes and models as plain data;
not for rendering.  Invariant: a picture is drawn in a reader process, and only of a file that a run
was allowed to read.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import anyio

from hivekeep import samples
from hivekeep.daemon.asking import account_name
from hivekeep.daemon.corrections import Correction, Corrections
from hivekeep.daemon.gate import PolicyGate
from hivekeep.daemon.measuring import ModelBench
from hivekeep.daemon.overview import seconds_left
from hivekeep.daemon.png import png
from hivekeep.daemon.profile import Profile
from hivekeep.daemon.views import run_detail, run_progress
from hivekeep.daemon.wiring import resolved
from hivekeep.documents import ReaderPool
from hivekeep.domain.actions import Action, ActionKind
from hivekeep.domain.documents import Document
from hivekeep.domain.errors import NotFoundError, RecipeError, StorageError, UsageError
from hivekeep.domain.saying import say
from hivekeep.engine.store import DEFAULT_MODEL, ModelState, ModelStatus, ModelStore
from hivekeep.journal import Journal, decode, encode
from hivekeep.recipes import (
    Recipe,
    builtin_recipes,
    find_recipe,
    load_recipe,
    new_recipe_text,
)
from hivekeep.swarm.coordinator import Coordinator
from hivekeep.swarm.events import AgentRecord, RunRecord

_MOST_TEXT = 200_000
_SAMPLE = Path(samples.__file__).parent / "invoices" / "rechnung-2026-0417.pdf"


@dataclass(frozen=True, slots=True)
class Desktop:
    """The desktop's verbs."""

    profile: Profile
    gate: PolicyGate
    coordinator: Coordinator
    readers: ReaderPool
    journal: Journal
    corrections: Corrections
    store: ModelStore
    bench: ModelBench
    start_run: Callable[..., Awaitable[dict[str, Any]]]

    # Runs

    def progress(self, run: str) -> dict[str, Any]:
        """A run with one short line for each agent and the time that is left."""
        record = self.coordinator.record(run)
        return {
            **run_progress(record, time.time()),
            "seconds_left": seconds_left(record, time.time()),
        }

    async def run_sample(self) -> dict[str, Any]:
        """A run over the sample invoice that ships with Hivekeep."""
        return await self.start_run(
            "invoices", [str(_SAMPLE)], output="", title=_SAMPLE.name, model=""
        )

    # Agents

    def agent(self, run: str, agent: str) -> dict[str, Any]:
        """One agent: its steps, its values with boxes on the page, its corrections."""
        record, source = self.find_agent(run, agent)
        shown = next(a for a in run_detail(record)["agents"] if a["id"] == source.id)
        document = self.document_of(source)
        boxes = {block.index: block for block in document.blocks} if document else {}
        for value in shown["values"]:
            for cell in [c for row in value["rows"] for c in row] if "rows" in value else [value]:
                for place in cell["evidence"]:
                    block = boxes.get(place["block"])
                    place["box"] = asdict(block.box) if block and block.box else None
                    place["text"] = block.text if block else place["quote"]
        return {
            **shown,
            "pages": document.pages if document else 0,
            "media_type": document.media_type if document else "",
            "notes": list(document.notes) if document else [],
            "steps": [
                {"key": s.key, "kind": s.kind.value, "done": s.done, "intents": s.intents}
                for s in source.steps.values()
            ],
            "recipe": "" if record.request.goal else record.request.plan.recipe,
            "fields": [encode(field) for field in record.request.plan.fields],
            "corrections": [encode(c) for c in self.corrections.of(record.id) if c.agent == agent],
        }

    async def page(self, run: str, agent: str, page: int) -> bytes:
        """A page of the agent's document as PNG.

        :raises DocumentError: if it cannot be drawn, or the file has changed since.
        """
        source = self.find_agent(run, agent)[1].input
        # Not on behalf of the run: a person may look while the run is paused.
        path = await anyio.to_thread.run_sync(resolved, source.path)
        await self.gate.require(Action(ActionKind.READ_FILE, path=path, size=source.size))
        drawn = await self.readers.draw(Path(path), page, expected_sha256=source.sha256)
        return await anyio.to_thread.run_sync(png, drawn)

    async def correct(self, run: str, agent: str, **what: Any) -> dict[str, Any]:
        """Keep a person's value beside the one that was found."""
        record, source = self.find_agent(run, agent)
        made = Correction(
            agent=source.id, before=None, author=account_name(), at=time.time(),
            **what,
        )  # fmt: skip
        kept: dict[str, Any] = encode(await self.corrections.make(record, made))
        return kept

    def find_agent(self, run: str, agent: str) -> tuple[RunRecord, AgentRecord]:
        """A run and one of its agents.

        :raises NotFoundError: if there is no such run or agent.
        """
        record = self.coordinator.record(run)
        found = record.agents.get(agent)
        if found is None:
            raise NotFoundError(
                say("error.no_agent", "The run has no agent '{agent}'.", agent=agent)
            )
        return record, found

    def document_of(self, agent: AgentRecord) -> Document | None:
        """What the agent has read; ``None`` if it has not read anything."""
        step = agent.steps.get("read")
        if step is None or not step.done or step.result is None:
            return None
        return decode(Document, json.loads(self.journal.blob(step.result["document"])))

    # Recipes

    def recipes(self) -> list[dict[str, Any]]:
        """Built-in recipes and the user's own; one that is wrong is listed with its problem."""
        rows = [_recipe_row(recipe) for recipe in builtin_recipes().values()]
        for path in sorted(self.profile.recipes.glob("*.y*ml")):
            try:
                rows.append(_recipe_row(load_recipe(path)))
            except (RecipeError, NotFoundError) as error:
                rows.append({**_EMPTY, "name": path.stem, "problem": error.why or error.what})
        return rows

    def recipe_text(self, name: str) -> dict[str, Any]:
        """A recipe with its text."""
        found = find_recipe(name, self.profile.recipes)
        return {**_recipe_row(found), "text": found.path.read_text(encoding="utf-8")}

    def new_recipe(self, name: str, title: str) -> dict[str, str]:
        """A commented starter that is valid as it stands."""
        return {"text": new_recipe_text(name, title)}

    async def validate_recipe(self, text: str) -> dict[str, Any]:
        """Whether the text is a recipe; each problem with its line."""
        return await anyio.to_thread.run_sync(self._try, text)

    async def save_recipe(self, text: str) -> dict[str, Any]:
        """Keep a recipe under the name it states, replacing the user's own of that name.

        :raises RecipeError: if it is wrong; then nothing is kept.
        """
        checked = await anyio.to_thread.run_sync(self._try, text)
        if not checked["ok"]:
            raise RecipeError(
                say("error.recipe_text", "The recipe is wrong."), why=checked["problem"]
            )
        name = str(checked["recipe"]["name"])
        await self.gate.require(Action(ActionKind.USE_RECIPE, recipe=name, user_recipe=True))
        await anyio.to_thread.run_sync(_replace, self.profile.recipes / f"{name}.yaml", text)
        await self.gate.record("recipe.save", subject=name, outcome="kept")
        return self.recipe_text(name)

    def _try(self, text: str) -> dict[str, Any]:
        if len(text) > _MOST_TEXT:
            raise UsageError("The recipe is too long.", why=f"{len(text)} characters.")
        draft = self.profile.recipes / f".draft-{secrets.token_hex(8)}"
        _replace(draft, text)
        try:
            recipe = load_recipe(draft)
        except RecipeError as error:
            return {
                "ok": False,
                "problem": error.why.replace(f"{draft.name}, ", ""),
                "recipe": None,
            }
        finally:
            draft.unlink(missing_ok=True)
        return {"ok": True, "problem": "", "recipe": _recipe_row(recipe)}

    # Models

    async def models(self) -> dict[str, Any]:
        """Known models, whether they are here, how fast they are, and this machine's memory."""
        return await anyio.to_thread.run_sync(self._models)

    def _models(self) -> dict[str, Any]:
        models = [
            {
                "name": status.entry.name,
                "title": status.entry.title,
                "licence": status.entry.licence,
                "size": status.entry.size,
                "memory": status.entry.memory,
                "context": status.entry.context,
                "sha256": status.entry.sha256,
                "state": str(status.state),
                "done": status.done,
                "default": status.entry.name == DEFAULT_MODEL,
                "bench": self._speed(status),
            }
            for status in self.store.list()
        ]
        return {"models": models, "memory": asdict(self.store.memory())}

    def _speed(self, status: ModelStatus) -> dict[str, Any] | None:
        if status.state is not ModelState.INSTALLED:
            return None
        return self.bench.view(status.entry.name, status.path)


_EMPTY = {
    "name": "", "title": "", "version": "", "builtin": False, "kind": "", "fields": [],
    "path": "", "model": "", "problem": "",
}  # fmt: skip


def _recipe_row(recipe: Recipe) -> dict[str, Any]:
    plan = recipe.compile()
    return {
        "name": recipe.name,
        "title": recipe.title,
        "version": recipe.version,
        "builtin": recipe.builtin,
        "kind": plan.kind.value,
        "fields": [{"name": f.name, "title": f.title, "type": f.type.value} for f in plan.fields],
        "path": str(recipe.path),
        "model": plan.model,
        "problem": "",
    }


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.new")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.chmod(0o600)
        temporary.replace(path)
    except OSError as error:
        raise StorageError(
            "The recipe cannot be saved.", why=f"{path}: {error.strerror}."
        ) from error
