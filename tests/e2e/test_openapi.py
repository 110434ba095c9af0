"""The published API document is complete, and no request that fits it makes the daemon fail."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.generation import GenerationMode
from tests.e2e.stage import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

# These end the daemon, or do not end by themselves.
LEFT_OUT = {("POST", "/v1/stop"), ("GET", "/v1/events/stream"), ("GET", "/v1/events")}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    chosen = Stage(tmp_path_factory.mktemp("openapi"))
    chosen.profile.create()
    # Nothing may start, so that made-up requests change nothing outside the profile.
    policy = {"watch": {"allowed": False}, "runs": {"max_documents": 0}}
    chosen.profile.policy.write_text(json.dumps(policy), encoding="utf-8")
    chosen.start()
    yield chosen
    chosen.close()


@pytest.fixture(scope="module")
def served(stage: Stage) -> Iterator[tuple[str, str]]:
    """The same API on a loopback port, as browser tests get it: address and cookie."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hivekeep_ui", "serve", "--socket", str(stage.profile.socket),
         "--profile", str(stage.profile.root)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    cookie = httpx.get(url).headers["set-cookie"].split(";")[0]
    yield url.split("/?")[0], cookie
    process.kill()
    process.wait()


def document(stage: Stage) -> dict[str, Any]:
    found: dict[str, Any] = stage.client.get("/openapi.json")
    return found


def test_every_route_is_in_the_document_with_its_inputs(stage: Stage) -> None:
    paths = document(stage)["paths"]
    for path in ("/v1/approvals", "/v1/approvals/answers", "/v1/overview", "/v1/events",
                 "/v1/pause", "/v1/recipes", "/v1/models", "/v1/schedules",
                 "/v1/runs/{run}/agents/{agent}/pages/{page}"):  # fmt: skip
        assert path in paths
    for path, operations in paths.items():
        named = {part[1:-1] for part in path.split("/") if part.startswith("{")}
        for operation in operations.values():
            inputs = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
            assert inputs == named, path


def test_no_request_that_fits_makes_a_server_error(stage: Stage, served: tuple[str, str]) -> None:
    base, cookie = served
    found: Any = schemathesis.openapi.from_dict(document(stage)).get_all_operations()
    operations = [result.ok() for result in found]
    tried = [o for o in operations if (o.method.upper(), o.path) not in LEFT_OUT]
    assert len(tried) > 25
    for operation in tried:

        @settings(
            max_examples=4, deadline=None, derandomize=True, database=None,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
        def one(case: Any) -> None:
            reply = case.call(base_url=base, headers={"Cookie": cookie}, timeout=200)
            code = (json.loads(reply.content).get("error") or {}).get("code", "")
            assert reply.status_code < 500 or code not in ("", "internal"), (
                reply.status_code, reply.content[:300], case.as_curl_command(),
            )  # fmt: skip

        one()
    assert stage.client.running()
