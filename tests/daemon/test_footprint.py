"""What the daemon's process is allowed to load: it lives in the tray all day."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Each is megabytes of memory or a parser of hostile files, and belongs into another process.
FOREIGN = (
    "PIL", "apscheduler", "docx", "fastapi", "httpx", "llama_cpp", "llguidance", "lxml", "numpy",
    "onnxruntime", "openpyxl", "pptx", "pypdf", "pypdfium2", "python_calamine", "rapidocr", "ray",
    "rich", "selectolax", "sqlalchemy", "typer", "webview",
)  # fmt: skip


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    script = (
        "import hivekeep.daemon.main, sys\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("package", FOREIGN)
def test_the_daemon_starts_without(package: str, loaded: set[str]) -> None:
    assert package not in loaded


def test_the_check_sees_what_is_loaded(loaded: set[str]) -> None:
    assert {"starlette", "uvicorn", "hivekeep"} <= loaded
