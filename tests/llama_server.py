"""llama.cpp's own server on loopback, as somebody else's server that speaks OpenAI's protocol."""

from __future__ import annotations

import os
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.stage import wait_for

KEY = "sk-test"


@contextmanager
def llama_server(model: Path, parallel: int) -> Iterator[str]:
    """Its address, without a path; skips where it is not built."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    built = sorted((cache / "hivekeep" / "llama.cpp-build").glob("build-*/bin/llama-server"))
    if not built:
        pytest.skip("llama-server is not built: python tools/build_llama_tools.py")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        str(built[-1]), "-m", str(model), "--port", str(port), "-np", str(parallel), "-c", "4096",
        "-t", "1", "--api-key", KEY, "--no-webui",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: _healthy(address), 180, "llama-server did not start")
        yield address
    finally:
        process.kill()
        process.wait()


def _healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=5):
            return True
    except OSError:
        return False
