"""The local API's routes for what can be done with a run besides starting and reading it.

Responsible for turning HTTP into calls of ``RunVerbs``; it decides nothing.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from hivekeep.daemon.routing import Body, Routes
from hivekeep.daemon.run_verbs import RunVerbs


class AskBody(Body):
    """A free request over files; with ``show_plan`` its plan waits for a person to accept it."""

    request: str = Field(min_length=3, max_length=4000)
    paths: list[str] = Field(default_factory=list)
    output: str = ""
    model: str = ""
    show_plan: bool = True


class PlanBody(Body):
    """The plan that a person accepts; empty ``text`` means as it was proposed."""

    text: str = Field(default="", max_length=65_536)


class RerunBody(Body):
    """Another recipe or model, if not the same ones."""

    recipe: str = ""
    model: str = ""


class ResolveBody(Body):
    """What a person says of a step in doubt."""

    agent: str
    step: str
    happened: bool


class ReleaseBody(Body):
    """The beginning of a document's SHA-256."""

    sha256: str = Field(min_length=6, max_length=64)


def add_run_verbs(routes: Routes, runs: RunVerbs) -> None:
    """Add the routes."""

    @routes.post("/v1/ask", status=201)
    async def ask(body: AskBody) -> dict[str, Any]:
        return await runs.ask(
            body.request, body.paths, output=body.output, model=body.model,
            show_plan=body.show_plan,
        )  # fmt: skip

    @routes.post("/v1/runs/{run}/plan")
    async def accept_plan(run: str, body: PlanBody) -> dict[str, Any]:
        return await runs.accept_plan(run, body.text)

    @routes.post("/v1/runs/{run}/plan/check")
    async def check_plan(run: str, body: PlanBody) -> dict[str, Any]:
        return runs.check_plan(run, body.text)

    @routes.get("/v1/tools")
    async def tools() -> dict[str, Any]:
        return {"tools": runs.tools()}

    @routes.post("/v1/runs/{run}/pause")
    async def pause(run: str) -> dict[str, Any]:
        return await runs.pause(run)

    @routes.post("/v1/runs/{run}/rerun", status=201)
    async def rerun(run: str, body: RerunBody) -> dict[str, Any]:
        return await runs.rerun(run, recipe=body.recipe, model=body.model)

    @routes.post("/v1/runs/{run}/resolve")
    async def resolve(run: str, body: ResolveBody) -> dict[str, Any]:
        return await runs.resolve(run, body.agent, body.step, happened=body.happened)

    @routes.post("/v1/runs/{run}/replay")
    async def replay(run: str) -> dict[str, Any]:
        return await runs.replay(run)

    @routes.post("/v1/runs/{run}/export")
    async def export(run: str) -> dict[str, Any]:
        return await runs.export(run)

    @routes.get("/v1/quarantine")
    async def quarantine() -> dict[str, Any]:
        return {"documents": runs.quarantine()}

    @routes.post("/v1/quarantine/release")
    async def release(body: ReleaseBody) -> dict[str, Any]:
        return await runs.release(body.sha256)
