"""Fixtures of the model store's tests."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.engine_store.loopback import Bench, MakeBench, Site, handler

from hivekeep.engine.store import ModelStore
from hivekeep.engine.store.capacity import Memory
from hivekeep.engine.store.catalog import Catalog, ModelEntry


class QuietServer(ThreadingHTTPServer):
    """A client that hangs up on a refused file is no news."""

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    found = Site()
    server = QuietServer(("127.0.0.1", 0), handler(found))
    found.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"{found.url}/simple/")
    monkeypatch.delenv("HIVEKEEP_MODELS_MIRROR", raising=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def weights() -> bytes:
    return random.Random(7).randbytes(600_000)


@pytest.fixture
def bench(tmp_path: Path) -> MakeBench:
    def make(entry: ModelEntry, **options: Any) -> Bench:
        permitted: list[str] = []
        waits: list[float] = []
        settings: dict[str, Any] = {
            "catalog": Catalog({entry.name: entry}),
            "permit": permitted.append,
            "client": lambda: httpx.Client(trust_env=False, timeout=10),
            "memory": lambda: Memory(10**12, 10**12),
            "free_space": lambda _folder: 10**12,
            "sleep": waits.append,
            **options,
        }
        return Bench(ModelStore(tmp_path / "models", **settings), permitted, waits)

    return make
