"""The local API's routes.

Responsible for turning HTTP into calls of ``Service`` and errors into JSON; it decides nothing.
Every error body is ``{"error": {"code", "what", "why", "next"}}``.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from hivekeep import __version__
from hivekeep.daemon.api_runs import add_run_verbs
from hivekeep.daemon.audit_api import add_audit_routes
from hivekeep.daemon.describing import describe
from hivekeep.daemon.routing import Body, Routes, application, json_response
from hivekeep.daemon.service import Service
from hivekeep.daemon.visitors import Visitors
from hivekeep.daemon.watch_verbs import add_watch_routes
from hivekeep.domain.errors import ErrorCode, HivekeepError, NotFoundError

_STATUS = {
    ErrorCode.USAGE: 422,
    ErrorCode.RECIPE: 422,
    ErrorCode.CONFIG: 422,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.APPROVAL: 409,
    ErrorCode.POLICY: 403,
    ErrorCode.POLICY_INVALID: 403,
    ErrorCode.MODEL: 409,
}


class RunBody(Body):
    """A request for a run. ``recipe`` is a name or the absolute path of a recipe file."""

    recipe: str
    paths: list[str] = Field(min_length=1)
    output: str = ""
    title: str = ""
    model: str = ""
    executor: Literal["", "local", "ray"] = ""


class ResumeBody(Body):
    """How to resume."""

    retry_failed: bool = False


def create_routes(service: Service) -> Routes:
    """The routes that every profile has; parts that are set up elsewhere add theirs."""
    routes = Routes()
    _add_run_routes(routes, service)
    add_run_verbs(routes, service.runs)
    add_watch_routes(routes, service.watches)
    _add_system_routes(routes, service)
    add_audit_routes(routes, service.audit)
    return routes


def create_api(routes: Routes) -> Starlette:
    """The application that serves ``routes`` and their description; it has no state of its own."""
    errors = {HivekeepError: _known, 404: _nowhere, 405: _nowhere}
    app = application(routes, [Middleware(Visitors)], errors)

    async def document(_request: Request) -> Response:
        return json_response(describe(routes, "Hivekeep local API", __version__))

    app.add_route("/openapi.json", document)
    return app


async def _known(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HivekeepError)
    return _refusal(error, _STATUS.get(error.code, 500))


async def _nowhere(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    problem = NotFoundError(
        f"The local API has no {request.method} at this address.",
        next_step="/openapi.json describes what there is.",
    )
    return _refusal(problem, error.status_code)


def _refusal(error: HivekeepError, status: int) -> Response:
    return json_response({"error": error.as_dict(), "exit": error.exit_status}, status)


def _add_run_routes(routes: Routes, service: Service) -> None:
    @routes.post("/v1/runs", status=201)
    async def start_run(body: RunBody) -> dict[str, Any]:
        return await service.start_run(
            body.recipe,
            body.paths,
            output=body.output,
            title=body.title,
            model=body.model,
            executor=body.executor,
        )

    @routes.get("/v1/runs")
    async def list_runs(limit: Annotated[int, Field(ge=1, le=1000)] = 50) -> dict[str, Any]:
        return {"runs": service.list_runs(limit)}

    @routes.get("/v1/runs/{run}")
    async def show_run(run: str) -> dict[str, Any]:
        return service.show_run(run)

    @routes.get("/v1/runs/{run}/stream")
    async def stream_run(run: str) -> StreamingResponse:
        views = service.follow_run(run)
        return StreamingResponse(_server_sent(views), media_type="text/event-stream")

    @routes.post("/v1/runs/{run}/cancel")
    async def cancel_run(run: str) -> dict[str, Any]:
        return await service.cancel_run(run)

    @routes.post("/v1/runs/{run}/resume")
    async def resume_run(run: str, body: ResumeBody) -> dict[str, Any]:
        return await service.resume_run(run, retry_failed=body.retry_failed)


def _add_system_routes(routes: Routes, service: Service) -> None:
    @routes.get("/v1/status")
    async def status() -> dict[str, Any]:
        return service.status()

    @routes.get("/v1/policy")
    async def policy() -> dict[str, Any]:
        return service.policy_view()

    @routes.post("/v1/journal/check")
    async def journal_check() -> dict[str, Any]:
        return await service.journal_check()

    @routes.post("/v1/stop", status=202)
    async def stop() -> dict[str, Any]:
        service.request_stop()
        return {"stopping": True}


async def _server_sent(views: AsyncIterator[dict[str, Any]]) -> AsyncIterator[str]:
    async for view in views:
        yield f"data: {json.dumps(view, separators=(',', ':'))}\n\n"
