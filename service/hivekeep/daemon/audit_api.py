"""The routes of the local API about the audit log."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from hivekeep.daemon.auditing import AuditDesk
from hivekeep.daemon.routing import Body, Routes


class SearchBody(Body):
    """What to look for. Times are ISO 8601; ``values`` are exact values of indexed fields."""

    values: dict[str, str] = Field(default_factory=dict)
    since: str = ""
    until: str = ""
    text: str = ""
    limit: int = Field(default=100, ge=1, le=100_000)


class ExportBody(Body):
    """What to export; ``confirmed`` says that a person agreed."""

    format: str
    values: dict[str, str] = Field(default_factory=dict)
    since: str = ""
    until: str = ""
    confirmed: bool = False


class ProofBody(Body):
    """Which record to prove; ``older`` is a signed checkpoint."""

    record: int = Field(ge=0)
    reveal: bool = False
    older: str = ""


class RotateBody(Body):
    """Whether the owner's key is replaced, too."""

    owner: bool = False


class ShredBody(Body):
    """Content older than this is destroyed."""

    days: int = Field(ge=0)


def add_audit_routes(routes: Routes, desk: AuditDesk) -> None:
    """Everything under ``/v1/audit``."""

    @routes.get("/v1/audit")
    async def show(
        limit: Annotated[int, Field(ge=1, le=10_000)] = 50,
        after: Annotated[int | None, Field(ge=0)] = None,
    ) -> dict[str, Any]:
        return {"records": await desk.show(limit, after)}

    @routes.post("/v1/audit/search")
    async def search(body: SearchBody) -> dict[str, Any]:
        found = await desk.search(body.values, body.since, body.until, body.text, body.limit)
        return {"records": found}

    @routes.post("/v1/audit/verify")
    async def verify() -> dict[str, Any]:
        return await desk.verify()

    @routes.post("/v1/audit/prove")
    async def prove(body: ProofBody) -> dict[str, Any]:
        return await desk.prove(body.record, reveal=body.reveal, older=body.older)

    @routes.post("/v1/audit/export")
    async def export(body: ExportBody) -> dict[str, Any]:
        return await desk.export(
            body.format, body.values, body.since, body.until, confirmed=body.confirmed
        )

    @routes.post("/v1/audit/anchor")
    async def anchor() -> dict[str, Any]:
        return await desk.anchor()

    @routes.get("/v1/audit/keys")
    async def keys() -> dict[str, Any]:
        return await desk.show_keys()

    @routes.post("/v1/audit/keys/rotate")
    async def rotate(body: RotateBody) -> dict[str, Any]:
        return await desk.rotate(owner=body.owner)

    @routes.post("/v1/audit/shred")
    async def shred(body: ShredBody) -> dict[str, Any]:
        return await desk.shred(body.days)
