"""How much memory a model takes, predicted from its file's header before anything is loaded.

Responsible for the arithmetic and for choosing slots and context that fit; not for loading.
Invariant: the prediction is meant to be an upper bound of the worker's resident memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hivekeep.engine.gguf import GgufHeader, read_header

# Python, numpy, llama.cpp and the grammar's tokenizer, measured as an idle worker's memory.
_PROCESS = 160_000_000
_TOKEN_TRIE = 330
_HALF = 2
_FLOAT = 4
# What llama.cpp keeps a second time, rearranged for the processor: Q4_0, Q4_K, IQ4_NL (ggml's
# numbers; ggml-cpu/repack.cpp).
_REPACKED = frozenset({2, 12, 20})
_UBATCH = 512
_LEAST_CONTEXT = 2048
# Of what is free beside the weights, this much may be taken by contexts: others work here too.
_CONTEXT_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a model's header says. ``cache_per_token`` is bytes of keys and values."""

    architecture: str
    layers: int
    context: int
    embedding: int
    feed_forward: int
    vocabulary: int
    weights: int
    repacked: int
    cache_per_token: int
    parameters: int


@dataclass(frozen=True, slots=True)
class Shape:
    """``slots`` sequences of ``context`` tokens, computed in batches of at most ``batch``."""

    slots: int
    context: int
    batch: int = _UBATCH


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes that a loaded model takes, by what takes them."""

    weights: int
    repacked: int
    cache: int
    compute: int
    process: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.repacked + self.cache + self.compute + self.process


def model_facts(path: Path) -> ModelFacts:
    """What the file at ``path`` says of itself.

    :raises ModelStoreError: if it is not a GGUF file.
    """
    return facts_of(read_header(path), path.stat().st_size)


def facts_of(header: GgufHeader, size: int) -> ModelFacts:
    """What a header says of a model whose file has ``size`` bytes."""
    data = header.metadata
    architecture = str(data.get("general.architecture", ""))

    def number(key: str, otherwise: int) -> int:
        value = data.get(f"{architecture}.{key}", otherwise)
        return int(max(value)) if isinstance(value, list) and value else int(value or otherwise)

    layers = number("block_count", 1)
    embedding = number("embedding_length", 1)
    heads = number("attention.head_count", 1)
    width = embedding // max(heads, 1)
    row = number("attention.key_length", width) + number("attention.value_length", width)
    return ModelFacts(
        architecture=architecture,
        layers=layers,
        context=number("context_length", 4096),
        embedding=embedding,
        feed_forward=number("feed_forward_length", 4 * embedding),
        vocabulary=int(data.get("len:tokenizer.ggml.tokens", 32_000)),
        weights=size,
        repacked=sum(
            # Rows of the embedding are looked up, which the rearranged form does not allow.
            t.size
            for t in header.tensors
            if t.kind in _REPACKED and t.name != "token_embd.weight"
        ),
        cache_per_token=_kv_heads(data, architecture, layers, heads) * row * _HALF,
        parameters=sum(tensor.elements for tensor in header.tensors),
    )


def _kv_heads(data: dict[str, Any], architecture: str, layers: int, heads: int) -> int:
    """Key-value heads of all layers together; some models state them layer by layer."""
    value = data.get(f"{architecture}.attention.head_count_kv", heads)
    if isinstance(value, list) and len(value) == layers:
        return sum(int(each) for each in value)
    return layers * int(max(value) if isinstance(value, list) else value or heads)


def predict(facts: ModelFacts, shape: Shape) -> Need:
    """What a worker with this model in this shape takes."""
    rows = min(shape.batch, _UBATCH)
    # The graph is reserved for logits of every row; a few activations of each width live at once.
    compute = rows * (facts.vocabulary + 8 * facts.embedding + 3 * facts.feed_forward) * _FLOAT
    outputs = shape.slots * facts.vocabulary * _FLOAT
    return Need(
        weights=facts.weights,
        repacked=facts.repacked,
        cache=shape.slots * shape.context * facts.cache_per_token,
        compute=compute + outputs,
        process=_PROCESS + facts.vocabulary * _TOKEN_TRIE,
    )


def fit(facts: ModelFacts, wanted: Shape, free: int) -> Shape | None:
    """The shape nearest to ``wanted`` that ``free`` bytes allow; ``None`` if none does.

    Slots are given up before context, because a prompt that does not fit cannot be answered at all.
    """
    context = min(wanted.context, facts.context)
    contexts = [context]
    while contexts[-1] > _LEAST_CONTEXT:
        contexts.append(max(contexts[-1] // 2, _LEAST_CONTEXT))
    for length in contexts:
        one = predict(facts, Shape(1, length, wanted.batch))
        if one.total > free:
            continue
        room = (free - one.total + one.cache) * _CONTEXT_SHARE
        slots = int(room // max(length * facts.cache_per_token, 1))
        return replace(wanted, slots=max(1, min(wanted.slots, slots)), context=length)
    return None


def names_that_fit(candidates: Sequence[tuple[str, int]], free: int) -> list[str]:
    """Of models with the bytes they need, those that ``free`` bytes suffice for, largest first."""
    return [name for name, need in sorted(candidates, key=lambda c: -c[1]) if need <= free]
