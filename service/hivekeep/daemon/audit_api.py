"""The routes of the local API about the audit log."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field

from hivekeep.daemon.auditing import AuditDesk


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SearchBody(_Body):
    """What to look for. Times are ISO 8601; ``values`` are exact values of indexed fields."""

    values: dict[str, str] = {}
    since: str = ""
    until: str = ""
    text: str = ""
    limit: int = Field(default=100, ge=1, le=100_000)


class ExportBody(_Body):
    """What to export; ``confirmed`` says that a person agreed."""

    format: str
    values: dict[str, str] = {}
    since: str = ""
    until: str = ""
    confirmed: bool = False


class ProofBody(_Body):
    """Which record to prove; ``older`` is a signed checkpoint."""

    record: int = Field(ge=0)
    reveal: bool = False
    older: str = ""


class RotateBody(_Body):
    """Whether the owner's key is replaced, too."""

    owner: bool = False


class ShredBody(_Body):
    """Content older than this is destroyed."""

    days: int = Field(ge=0)


def add_audit_routes(app: FastAPI, desk: AuditDesk) -> None:
    """Everything under ``/v1/audit``."""

    @app.get("/v1/audit")
    async def show(
        limit: Annotated[int, Query(ge=1, le=10_000)] = 50,
        after: Annotated[int | None, Query(ge=0)] = None,
    ) -> dict[str, Any]:
        return {"records": await desk.show(limit, after)}

    @app.post("/v1/audit/search")
    async def search(body: SearchBody) -> dict[str, Any]:
        found = await desk.search(body.values, body.since, body.until, body.text, body.limit)
        return {"records": found}

    @app.post("/v1/audit/verify")
    async def verify() -> dict[str, Any]:
        return await desk.verify()

    @app.post("/v1/audit/prove")
    async def prove(body: ProofBody) -> dict[str, Any]:
        return await desk.prove(body.record, reveal=body.reveal, older=body.older)

    @app.post("/v1/audit/export")
    async def export(body: ExportBody) -> dict[str, Any]:
        return await desk.export(
            body.format, body.values, body.since, body.until, confirmed=body.confirmed
        )

    @app.post("/v1/audit/anchor")
    async def anchor() -> dict[str, Any]:
        return await desk.anchor()

    @app.get("/v1/audit/keys")
    async def keys() -> dict[str, Any]:
        return await desk.show_keys()

    @app.post("/v1/audit/keys/rotate")
    async def rotate(body: RotateBody) -> dict[str, Any]:
        return await desk.rotate(owner=body.owner)

    @app.post("/v1/audit/shred")
    async def shred(body: ShredBody) -> dict[str, Any]:
        return await desk.shred(body.days)
