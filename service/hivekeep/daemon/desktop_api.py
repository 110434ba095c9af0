"""The local API's routes for the desktop: state at a glance, events, details, recipes, models.

Responsible for turning HTTP into calls and answers into JSON; it decides nothing.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio
from pydantic import Field
from starlette.responses import Response, StreamingResponse

from hivekeep.daemon.changes import Changes
from hivekeep.daemon.desktop import Desktop
from hivekeep.daemon.overview import Glance
from hivekeep.daemon.pause import LONGEST_SECONDS, Pause
from hivekeep.daemon.routing import Body, Routes

_PICTURE, _EVENTS = "image/png", "text/event-stream"
_KEEP_ALIVE_SECONDS = 30.0
_THROTTLE_SECONDS = 0.2


class PauseBody(Body):
    """How long to pause; 0 ends a pause."""

    seconds: float = Field(ge=0, le=LONGEST_SECONDS)


class CorrectionBody(Body):
    """A value as it should be. ``row`` and ``column`` name a cell of a table."""

    field: str = Field(min_length=1, max_length=200)
    after: str | int | bool | None
    row: int | None = Field(default=None, ge=0, le=100_000)
    column: str = Field(default="", max_length=200)
    note: str = Field(default="", max_length=500)


class RecipeBody(Body):
    """A recipe's text."""

    text: str = Field(min_length=1, max_length=200_000)


def add_desktop_routes(
    routes: Routes, desktop: Desktop, glance: Glance, pause: Pause, changes: Changes
) -> None:
    """Add the routes."""
    _add_state_routes(routes, glance, pause, changes)
    _add_agent_routes(routes, desktop)
    _add_recipe_routes(routes, desktop)

    @routes.get("/v1/runs/{run}/progress")
    async def progress(
        run: str,
        since: Annotated[int, Field(ge=-1)] = -1,
        wait: Annotated[float, Field(ge=0, le=60)] = 0.0,
    ) -> dict[str, Any]:
        desktop.progress(run)  # an unknown run is an error at once, not after the wait
        version = await changes.wait(since, at_most=wait)
        return {"version": version, **desktop.progress(run)}

    @routes.post("/v1/samples/run", status=201)
    async def run_sample() -> dict[str, Any]:
        return await desktop.run_sample()

    @routes.get("/v1/models")
    async def list_models() -> dict[str, Any]:
        return await desktop.models()

    @routes.post("/v1/models/{name}/bench", status=202)
    async def measure_model(name: str) -> dict[str, Any]:
        return await desktop.bench.start(name)


def _add_state_routes(routes: Routes, glance: Glance, pause: Pause, changes: Changes) -> None:
    @routes.get("/v1/overview")
    async def overview() -> dict[str, Any]:
        return {"version": changes.version, **glance.overview()}

    @routes.get("/v1/events")
    async def wait_for_event(
        since: Annotated[int, Field(ge=-1)] = -1,
        wait: Annotated[float, Field(ge=0, le=60)] = 25.0,
    ) -> dict[str, Any]:
        version = await changes.wait(since, at_most=wait)
        return {"version": version, **glance.overview()}

    @routes.get("/v1/events/stream", media_type=_EVENTS)
    async def stream_events() -> StreamingResponse:
        return StreamingResponse(_overviews(glance, changes), media_type=_EVENTS)

    @routes.put("/v1/pause")
    async def set_pause(body: PauseBody) -> dict[str, Any]:
        pause.set(body.seconds)
        changes.notify()
        return {"paused_until": pause.until}


def _add_agent_routes(routes: Routes, desktop: Desktop) -> None:
    @routes.get("/v1/runs/{run}/agents/{agent}")
    async def show_agent(run: str, agent: str) -> dict[str, Any]:
        return desktop.agent(run, agent)

    @routes.get("/v1/runs/{run}/agents/{agent}/pages/{page}", media_type=_PICTURE)
    async def draw_page(
        run: str, agent: str, page: Annotated[int, Field(ge=1, le=100_000)]
    ) -> Response:
        return Response(await desktop.page(run, agent, page), media_type=_PICTURE)

    @routes.post("/v1/runs/{run}/agents/{agent}/corrections", status=201)
    async def correct(run: str, agent: str, body: CorrectionBody) -> dict[str, Any]:
        return await desktop.correct(run, agent, **body.model_dump())


def _add_recipe_routes(routes: Routes, desktop: Desktop) -> None:
    @routes.get("/v1/recipes")
    async def list_recipes() -> dict[str, Any]:
        return {"recipes": desktop.recipes()}

    @routes.get("/v1/recipes/new")
    async def new_recipe(
        name: Annotated[str, Field(max_length=100)] = "my-recipe",
        title: Annotated[str, Field(max_length=200)] = "",
    ) -> dict[str, Any]:
        return desktop.new_recipe(name, title)

    @routes.post("/v1/recipes/validate")
    async def validate_recipe(body: RecipeBody) -> dict[str, Any]:
        return await desktop.validate_recipe(body.text)

    @routes.put("/v1/recipes")
    async def save_recipe(body: RecipeBody) -> dict[str, Any]:
        return await desktop.save_recipe(body.text)

    @routes.get("/v1/recipes/{name}")
    async def show_recipe(name: str) -> dict[str, Any]:
        return desktop.recipe_text(name)


async def _overviews(glance: Glance, changes: Changes) -> AsyncIterator[str]:
    last, seen = "", -1
    while True:
        seen = await changes.wait(seen, at_most=_KEEP_ALIVE_SECONDS)
        text = json.dumps(glance.overview(), separators=(",", ":"))
        # A comment keeps the connection; tokens of a model change nothing that is shown here.
        yield f"data: {text}\n\n" if text != last else ": \n\n"
        last = text
        await anyio.sleep(_THROTTLE_SECONDS)
