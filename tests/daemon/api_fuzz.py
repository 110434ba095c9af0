"""Sends whatever fits, and does not fit, the local API's own description to a real daemon.

Shared by a test and by ``benchmarks.fuzz_api``; it knows no route by name but those it leaves out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.core import NotSet

from hivekeep.daemon.visitors import HOST

# Stopping the daemon ends the fuzzing, and streams end only with their run.
LEFT_OUT = ("/v1/stop", "/stream", "/events")
_ERROR = {"code", "what", "why", "next"}
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@dataclass
class Findings:
    """What was sent and what was wrong with the answers."""

    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: dict[str, str] = field(default_factory=dict)


def fuzz(client: httpx.Client, examples: int) -> Findings:
    """Send about ``examples`` requests to each operation, half of them against the description."""
    findings = Findings()
    raw = client.get("/openapi.json").json()
    schema: Any = schemathesis.openapi.from_dict(raw)
    for found in schema.get_all_operations():
        operation = found.ok()
        if not any(part in operation.path for part in LEFT_OUT):
            _one(client, operation, examples, findings)
    return findings


def _one(client: httpx.Client, operation: Any, examples: int, findings: Findings) -> None:
    quiet = settings(
        max_examples=max(examples // 2, 1), deadline=None, database=None, derandomize=True,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip

    @quiet
    @given(case=operation.as_strategy())
    def fitting(case: Any) -> None:
        body = None if isinstance(case.body, NotSet) else case.body
        _send(client, operation, case.formatted_path, case.query, body, findings)

    @quiet
    @given(body=_VALUES, name=st.text(min_size=1, max_size=20), query=st.text(max_size=9))
    def unfitting(body: Any, name: str, query: str) -> None:
        parts = operation.path.split("/")
        path = "/".join(_quoted(name) if part.startswith("{") else part for part in parts)
        _send(client, operation, path, {"limit": query}, body, findings)

    fitting()
    unfitting()


def _quoted(name: str) -> str:
    return "".join(f"%{byte:02X}" for byte in name.encode("utf-8", "surrogatepass"))


def _send(
    client: httpx.Client, operation: Any, path: str, query: Any, body: Any, findings: Findings
) -> None:
    method = operation.method.upper()
    place = f"{method} {operation.path}"
    sent = {} if method in ("GET", "DELETE") else {"json": body}
    answer = client.request(method, path, params=query or None, **sent)
    findings.sent += 1
    findings.statuses[answer.status_code] += 1
    complaint = _complaint(answer)
    if complaint:
        findings.wrong.setdefault(place, f"{complaint}; sent {path!r} {query!r} {body!r:.300}")


def _complaint(answer: httpx.Response) -> str:
    """What is wrong with an answer, whatever the question was."""
    if answer.status_code in (404, 405) and "error" not in answer.json():
        return ""  # no route has this path
    if answer.is_success:
        return ""
    try:
        error = answer.json()["error"]
    except (ValueError, KeyError, TypeError):
        return f"{answer.status_code} without an error that says what to do: {answer.text[:200]}"
    if not set(error) >= _ERROR:
        return f"{answer.status_code} lacks parts of an error: {error}"
    if error["code"] == "internal":
        return f"{answer.status_code}: {error}"
    return ""


def client_of(socket: str) -> httpx.Client:
    """A client of the daemon at ``socket``."""
    return httpx.Client(
        transport=httpx.HTTPTransport(uds=socket), base_url=f"http://{HOST}", timeout=60
    )
