"""What tests of several packages share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A loaded machine makes any example slow; what a test asserts is never its time.
settings.register_profile("hivekeep", deadline=None)
settings.load_profile("hivekeep")

ROOT = Path(__file__).resolve().parent.parent
MODELS = Path(os.environ.get("HIVEKEEP_MODELS_DIR", Path.home() / ".cache" / "hivekeep" / "models"))


@pytest.fixture(scope="session")
def samples() -> Path:
    """The bundled sample documents."""
    return ROOT / "service" / "hivekeep" / "samples"


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The shared evaluation corpus, which is not part of the project."""
    # Resolved, as the swarm resolves a path before it has it read.
    folder = Path(os.environ.get("HIVEKEEP_SHARED", ROOT.parent / "shared")).resolve() / "corpus"
    if not folder.is_dir():
        pytest.skip("the shared corpus is not on this machine")
    return folder


@pytest.fixture(scope="session")
def small_model() -> Path:
    """The smallest model: enough for machinery, not for good answers."""
    return _model("smollm2-135m-instruct-q4_1")


@pytest.fixture(scope="session")
def default_model() -> Path:
    """The model that users have."""
    return _model("qwen2.5-coder-1.5b-instruct-q4_k_m")


def _model(name: str) -> Path:
    path = MODELS / f"{name}.gguf"
    if not path.is_file():
        pytest.fail(f"{path} is missing; run 'make models' first")
    return path
