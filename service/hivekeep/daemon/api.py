"""The local API's routes.

Responsible for turning HTTP into calls of ``Service`` and errors into JSON; it decides nothing.
Every error body is ``{"error": {"code", "what", "why", "next"}}``.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from hivekeep import __version__
from hivekeep.daemon.api_runs import add_run_verbs
from hivekeep.daemon.audit_api import add_audit_routes
from hivekeep.daemon.service import Service
from hivekeep.daemon.visitors import Visitors
from hivekeep.domain.errors import ErrorCode, HivekeepError, UsageError

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


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RunBody(_Body):
    """A request for a run. ``recipe`` is a name or the absolute path of a recipe file."""

    recipe: str
    paths: list[str] = Field(min_length=1)
    output: str = ""
    title: str = ""
    model: str = ""
    executor: Literal["", "local", "ray"] = ""


class ResumeBody(_Body):
    """How to resume."""

    retry_failed: bool = False


class WatchBody(_Body):
    """A folder to watch."""

    folder: str
    recipe: str
    output: str = ""
    recursive: bool = False
    include: list[str] = []
    exclude: list[str] = []
    settle_seconds: float | None = Field(default=None, ge=0, le=3600)
    batch_seconds: float | None = Field(default=None, ge=0, le=600)


def create_api(service: Service) -> FastAPI:
    """The application; it has no state of its own."""
    app = FastAPI(title="Hivekeep local API", version=__version__, docs_url=None, redoc_url=None)
    app.add_middleware(Visitors)
    _add_error_handlers(app)
    _add_run_routes(app, service)
    add_run_verbs(app, service.runs)
    _add_watch_routes(app, service)
    _add_system_routes(app, service)
    add_audit_routes(app, service.audit)
    return app


def _add_error_handlers(app: FastAPI) -> None:
    @app.exception_handler(HivekeepError)
    async def known(_request: Request, error: HivekeepError) -> JSONResponse:
        return JSONResponse(
            {"error": error.as_dict(), "exit": error.exit_status}, _STATUS.get(error.code, 500)
        )

    @app.exception_handler(RequestValidationError)
    async def malformed(_request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        problem = UsageError("The request is malformed.", why=f"{place}: {first['msg']}.")
        return JSONResponse({"error": problem.as_dict(), "exit": problem.exit_status}, 422)


def _add_run_routes(app: FastAPI, service: Service) -> None:
    @app.post("/v1/runs", status_code=201)
    async def start_run(body: RunBody) -> dict[str, Any]:
        return await service.start_run(
            body.recipe,
            body.paths,
            output=body.output,
            title=body.title,
            model=body.model,
            executor=body.executor,
        )

    @app.get("/v1/runs")
    async def list_runs(limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> dict[str, Any]:
        return {"runs": service.list_runs(limit)}

    @app.get("/v1/runs/{run}")
    async def show_run(run: str) -> dict[str, Any]:
        return service.show_run(run)

    @app.get("/v1/runs/{run}/stream")
    async def stream_run(run: str) -> StreamingResponse:
        views = service.follow_run(run)
        return StreamingResponse(_server_sent(views), media_type="text/event-stream")

    @app.post("/v1/runs/{run}/cancel")
    async def cancel_run(run: str) -> dict[str, Any]:
        return await service.cancel_run(run)

    @app.post("/v1/runs/{run}/resume")
    async def resume_run(run: str, body: ResumeBody) -> dict[str, Any]:
        return await service.resume_run(run, retry_failed=body.retry_failed)


def _add_watch_routes(app: FastAPI, service: Service) -> None:
    @app.get("/v1/watches")
    async def list_watches() -> dict[str, Any]:
        return {"watches": service.list_watches()}

    @app.post("/v1/watches", status_code=201)
    async def add_watch(body: WatchBody) -> dict[str, Any]:
        return await service.add_watch(**body.model_dump())

    @app.delete("/v1/watches/{watch}")
    async def remove_watch(watch: str) -> dict[str, Any]:
        return await service.remove_watch(watch)


def _add_system_routes(app: FastAPI, service: Service) -> None:
    @app.get("/v1/status")
    async def status() -> dict[str, Any]:
        return service.status()

    @app.get("/v1/policy")
    async def policy() -> dict[str, Any]:
        return service.policy_view()

    @app.post("/v1/journal/check")
    async def journal_check() -> dict[str, Any]:
        return await service.journal_check()

    @app.post("/v1/stop", status_code=202)
    async def stop() -> dict[str, Any]:
        service.request_stop()
        return {"stopping": True}


async def _server_sent(views: AsyncIterator[dict[str, Any]]) -> AsyncIterator[str]:
    async for view in views:
        yield f"data: {json.dumps(view, separators=(',', ':'))}\n\n"
