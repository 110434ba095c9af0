"""The local API's routes for approvals.

Responsible for turning HTTP into calls of the desk and requests into JSON; it decides nothing.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from hivekeep.approvals import ApprovalDesk, Case, may_always, plain_data, shown_text
from hivekeep.daemon.asking import account_name
from hivekeep.daemon.routing import Body, Routes
from hivekeep.daemon.service import Service
from hivekeep.domain.approvals import Answer
from hivekeep.domain.errors import HivekeepError, UsageError

Via = Literal["cli", "popup", "dashboard", "notification", "tray", "api"]


class AnswerBody(Body):
    """An answer to exactly the request whose hash is ``digest``."""

    answer: Answer
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    via: Via = "api"
    note: str = Field(default="", max_length=500)


class Named(Body):
    """One request of several, by id and hash."""

    id: str = Field(min_length=1, max_length=64)
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")


class AnswersBody(Body):
    """One answer to several requests, each named with its hash."""

    answer: Answer
    approvals: list[Named] = Field(min_length=1, max_length=300)
    via: Via = "api"
    note: str = Field(default="", max_length=500)


@dataclass(frozen=True, slots=True)
class ApprovalVerbs:
    """What can be done with approvals."""

    desk: ApprovalDesk
    service: Service

    def listing(self, state: str, limit: int) -> dict[str, Any]:
        """Requests, newest first for ``all`` and oldest first for ``pending``, and their groups."""
        cases = self.desk.pending() if state == "pending" else self.desk.recent(limit)
        groups: dict[str, list[str]] = {}
        for case in self.desk.pending():
            groups.setdefault(case.request.group, []).append(case.request.id)
        return {
            "approvals": [view(case) for case in cases[:limit]],
            "groups": [{"group": name, "approvals": ids} for name, ids in groups.items()],
        }

    async def answer(
        self, request: str, digest: str, answer: Answer, via: str, note: str
    ) -> dict[str, Any]:
        """Answer one request; a run that is to stop is cancelled."""
        case = await self.desk.answer(
            request, digest, answer, by=account_name(), via=via, note=note
        )
        if answer is Answer.DENY_STOP and case.request.asker.run:
            with suppress(UsageError):  # it has ended by itself, which is what was wanted
                await self.service.cancel_run(case.request.asker.run)
        return view(case)

    async def answer_many(self, body: AnswersBody) -> dict[str, Any]:
        """Answer several; one that cannot be answered does not keep the others from it."""
        done: list[dict[str, Any]] = []
        for named in body.approvals:
            try:
                await self.answer(named.id, named.digest, body.answer, body.via, body.note)
            except HivekeepError as error:
                done.append({"id": named.id, "ok": False, "error": error.as_dict()})
            else:
                done.append({"id": named.id, "ok": True, "error": None})
        return {"answers": done}


def view(case: Case) -> dict[str, Any]:
    """One request as clients see it."""
    request = case.request
    return {
        **plain_data(request),
        "may_always": may_always(request),
        "text": shown_text(request),
        "state": case.verdict.state.value if case.verdict else "pending",
        "verdict": plain_data(case.verdict) if case.verdict else None,
    }


def add_approval_routes(routes: Routes, verbs: ApprovalVerbs) -> None:
    """Add the routes under ``/v1/approvals``."""

    @routes.get("/v1/approvals")
    async def list_approvals(
        state: Literal["pending", "all"] = "pending",
        limit: Annotated[int, Field(ge=1, le=1000)] = 300,
    ) -> dict[str, Any]:
        return verbs.listing(state, limit)

    @routes.post("/v1/approvals/answers")
    async def answer_approvals(body: AnswersBody) -> dict[str, Any]:
        return await verbs.answer_many(body)

    @routes.get("/v1/approvals/grants")
    async def list_grants() -> dict[str, Any]:
        return {"grants": [plain_data(grant) for grant in verbs.desk.grants()]}

    @routes.delete("/v1/approvals/grants/{grant}")
    async def revoke_grant(grant: str) -> dict[str, Any]:
        revoked: dict[str, Any] = plain_data(await verbs.desk.revoke(grant, by=account_name()))
        return revoked

    @routes.get("/v1/approvals/{approval}")
    async def show_approval(approval: str) -> dict[str, Any]:
        return view(verbs.desk.case(approval))

    @routes.post("/v1/approvals/{approval}/answer")
    async def answer_approval(approval: str, body: AnswerBody) -> dict[str, Any]:
        return await verbs.answer(approval, body.digest, body.answer, body.via, body.note)
