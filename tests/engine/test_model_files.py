"""GGUF headers, the memory they foretell, and LoRA adapters that change answers."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import anyio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.test_local_engine import OneModel, request

from hivekeep.domain.errors import EngineError, ModelStoreError
from hivekeep.engine.gguf import read_header
from hivekeep.engine.local import EngineSettings, LocalEngine
from hivekeep.engine.memory import ModelFacts, Shape, fit, model_facts, names_that_fit, predict

FACTS = ModelFacts(
    architecture="qwen2", layers=28, context=32768, embedding=1536, feed_forward=8960,
    vocabulary=151_936, weights=1_117_320_768, repacked=625_000_000, cache_per_token=28_672,
    parameters=1_540_000_000,
)  # fmt: skip


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def write_adapter(
    path: Path, tensor: str, width: int, height: int, *, architecture: str = "llama",
    kind: str = "lora", strength: float = 3.0,
) -> None:  # fmt: skip
    """A LoRA of rank 2 for one weight matrix, as GGUF version 3."""
    random = np.random.default_rng(5)
    a = random.standard_normal((2, width)).astype("<f4")
    b = (strength * random.standard_normal((height, 2))).astype("<f4")
    pairs = [
        ("general.type", 8, text("adapter")), ("general.architecture", 8, text(architecture)),
        ("adapter.type", 8, text(kind)), ("adapter.lora.alpha", 6, struct.pack("<f", 2.0)),
    ]  # fmt: skip
    head = b"GGUF" + struct.pack("<IQQ", 3, 2, len(pairs))
    for key, number, value in pairs:
        head += text(key) + struct.pack("<I", number) + value
    offset = 0
    for name, array in ((f"{tensor}.lora_a", a), (f"{tensor}.lora_b", b)):
        head += text(name) + struct.pack("<IQQIQ", 2, array.shape[1], array.shape[0], 0, offset)
        offset += -(-array.nbytes // 32) * 32
    head += b"\0" * (-len(head) % 32)
    body = b"".join(array.tobytes() + b"\0" * (-array.nbytes % 32) for array in (a, b))
    path.write_bytes(head + body)


@pytest.mark.model
def test_a_models_header_says_what_it_is(small_model: Path) -> None:
    facts = model_facts(small_model)
    assert (facts.architecture, facts.layers, facts.context) == ("llama", 30, 8192)
    assert facts.cache_per_token == 30 * 3 * 64 * 2 * 2
    assert facts.vocabulary == 49_152
    assert 130e6 < facts.parameters < 170e6
    header = read_header(small_model)
    assert sum(tensor.size for tensor in header.tensors) < facts.weights


@given(noise=st.binary(max_size=200), cut=st.integers(0, 60))
@settings(max_examples=200, deadline=None)
def test_damaged_headers_are_refused_or_read(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, cut: int
) -> None:
    path = tmp_path_factory.mktemp("gguf") / "x.gguf"
    write_adapter(path, "t", 4, 4)
    path.write_bytes(path.read_bytes()[:cut] + noise)
    with contextlib.suppress(ModelStoreError):
        assert len(read_header(path).tensors) < 10


def test_slots_are_given_up_before_context_and_both_before_the_model() -> None:
    wanted = Shape(8, 8192, 512)
    assert fit(FACTS, wanted, 10**11) == wanted
    fewer = fit(FACTS, wanted, 3_200_000_000)
    assert fewer is not None
    assert fewer.context == 8192
    assert 1 <= fewer.slots < 8
    shorter = fit(FACTS, wanted, 2_480_000_000)
    assert shorter is not None
    assert (shorter.slots, shorter.context) == (1, 4096)
    assert fit(FACTS, wanted, 2_000_000_000) is None
    for shape in (fewer, shorter):
        assert predict(FACTS, shape).total <= 3_200_000_000
    assert names_that_fit([("a", 5), ("b", 9), ("c", 20)], 10) == ["b", "a"]


@pytest.mark.model
def test_an_adapter_changes_the_answer_and_a_wrong_one_is_refused(
    small_model: Path, tmp_path: Path
) -> None:
    good, bad, other = (tmp_path / name for name in ("good.gguf", "bad.gguf", "other.gguf"))
    write_adapter(good, "blk.20.attn_output.weight", 576, 576)
    write_adapter(bad, "blk.20.attn_output.weight", 64, 64)
    write_adapter(other, "blk.20.attn_output.weight", 576, 576, architecture="qwen2")

    async def work() -> None:
        settings = EngineSettings(slots=1, context=512, threads=1)
        async with LocalEngine(OneModel(small_model), settings) as engine:
            plain = await engine.complete(request(1, max_tokens=8))
            adapted = await engine.complete(request(2, max_tokens=8, adapter=str(good)))
            again = await engine.complete(request(3, max_tokens=8))
            assert adapted.logprobs[0] != plain.logprobs[0]
            assert again.logprobs == plain.logprobs
            for wrong, why in ((bad, "incorrect shape"), (other, "arch mismatch")):
                with pytest.raises(EngineError, match="adapter") as caught:
                    await engine.complete(request(4, adapter=str(wrong)))
                assert why in caught.value.why

    anyio.run(work)
