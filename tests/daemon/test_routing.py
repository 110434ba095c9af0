"""What the local API accepts and answers is what its routes' signatures say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field

from hivekeep.daemon.api import create_api
from hivekeep.daemon.routing import Body, Routes
from hivekeep.daemon.visitors import HOST
from hivekeep.domain.errors import PolicyDeniedError

pytestmark = pytest.mark.anyio


class Thing(Body):
    """A thing."""

    name: str = Field(min_length=1, max_length=20)
    sizes: list[int] = Field(default_factory=list)


def routes() -> Routes:
    made = Routes()

    @made.get("/v1/things/{number}")
    async def show(
        number: Annotated[int, Field(ge=1)],
        kind: Literal["small", "large"] = "small",
        after: Annotated[int | None, Field(ge=0)] = None,
    ) -> dict[str, Any]:
        return {"number": number, "kind": kind, "after": after}

    @made.post("/v1/things", status=201)
    async def make(body: Thing) -> dict[str, Any]:
        return {"name": body.name, "sizes": body.sizes, "at": datetime(2026, 1, 2, tzinfo=UTC)}

    @made.get("/v1/odd")
    async def odd() -> dict[str, Any]:
        return {"path": Path("/a"), "name": "\udcff", "share": float("nan"), "pair": (1, 2)}

    @made.delete("/v1/things/{number}")
    async def remove(number: int) -> dict[str, Any]:
        raise PolicyDeniedError(f"{number} stays.", rule="test.rule")

    return made


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_api(routes()))
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as opened:
        yield opened


async def test_inputs_come_from_path_query_and_body(client: httpx.AsyncClient) -> None:
    found = await client.get("/v1/things/7", params={"kind": "large", "after": 3, "other": 1})
    assert found.json() == {"number": 7, "kind": "large", "after": 3}
    assert (await client.get("/v1/things/7")).json() == {
        "number": 7, "kind": "small", "after": None
    }  # fmt: skip
    made = await client.post("/v1/things", json={"name": "a", "sizes": [1]})
    assert made.status_code == 201
    assert made.json() == {"name": "a", "sizes": [1], "at": "2026-01-02T00:00:00Z"}


@pytest.mark.parametrize(
    ("method", "path", "body", "where"),
    [
        ("GET", "/v1/things/0", None, "path.number"),
        ("GET", "/v1/things/x", None, "path.number"),
        ("GET", "/v1/things/1?kind=huge", None, "query.kind"),
        ("GET", "/v1/things/1?after=-1", None, "query.after"),
        ("POST", "/v1/things", b"", "body"),
        ("POST", "/v1/things", b"{", "body"),
        ("POST", "/v1/things", b"[]", "body"),
        ("POST", "/v1/things", b"{}", "body.name"),
        ("POST", "/v1/things", b'{"name": ""}', "body.name"),
        ("POST", "/v1/things", b'{"name": "a", "sizes": ["x"]}', "body.sizes.0"),
        ("POST", "/v1/things", b'{"name": "a", "more": 1}', "body.more"),
    ],
)
async def test_what_does_not_fit_is_refused_with_its_place(
    method: str, path: str, body: bytes | None, where: str, client: httpx.AsyncClient
) -> None:
    reply = await client.request(method, path, content=body)
    assert reply.status_code == 422
    error = reply.json()["error"]
    assert error["code"] == "usage"
    assert error["why"].startswith(f"{where}: ")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(body=st.binary(max_size=60), number=st.text(min_size=1, max_size=8))
async def test_no_request_makes_the_server_fail(
    body: bytes, number: str, client: httpx.AsyncClient
) -> None:
    assert (await client.post("/v1/things", content=body)).status_code in (201, 422)
    quoted = "".join(f"%{byte:02X}" for byte in number.encode("utf-8", "surrogatepass"))
    assert (await client.get(f"/v1/things/{quoted}")).status_code in (200, 404, 422)


async def test_errors_and_wrong_addresses_say_what_to_do(client: httpx.AsyncClient) -> None:
    denied = await client.delete("/v1/things/3")
    assert (denied.status_code, denied.json()["error"]["what"]) == (403, "3 stays.")
    for method, path, status in (
        ("GET", "/v1/nothing", 404), ("PUT", "/v1/things", 405), ("GET", "/v1/things/1/", 404),
        ("GET", "/v1/things/%2F", 404),
    ):  # fmt: skip
        reply = await client.request(method, path)
        assert reply.status_code == status
        assert set(reply.json()["error"]) >= {"code", "what", "why", "next"}


async def test_every_answer_is_valid_json(client: httpx.AsyncClient) -> None:
    reply = await client.get("/v1/odd")
    assert reply.json() == {"path": "/a", "name": "\udcff", "share": None, "pair": [1, 2]}


async def test_the_description_says_what_is_accepted(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    show = document["paths"]["/v1/things/{number}"]["get"]
    assert [(item["name"], item["in"], item["required"]) for item in show["parameters"]] == [
        ("number", "path", True), ("kind", "query", False), ("after", "query", False)
    ]  # fmt: skip
    assert show["parameters"][0]["schema"] == {"type": "integer", "minimum": 1}
    assert show["parameters"][1]["schema"]["enum"] == ["small", "large"]
    made = document["paths"]["/v1/things"]["post"]
    reference = made["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    thing = document["components"]["schemas"][reference.rpartition("/")[2]]
    assert thing["additionalProperties"] is False
    assert thing["required"] == ["name"]
    assert "201" in made["responses"]
