"""Many small related prompts through the engine against llama-cpp-python calls one after another.

Both sides get the same messages and the same JSON Schema; llama-cpp-python is used as its
documentation shows (``create_chat_completion`` with ``response_format``), on one loaded model.
"""

from __future__ import annotations

import json
import time
from typing import Any

import anyio

from benchmarks.engine_setup import InstalledFiles, engine, machine_line, options
from benchmarks.setup import report
from hivekeep.domain.inference import FinishEvent, GenerateRequest, Message, Role
from hivekeep.engine.settings import default_tuning

_INSTRUCTIONS = (
    "You read one line of an order book and answer with JSON. "
    "Take the customer, the article, the quantity and the delivery date from the line. "
    "A value that the line does not state is null. Do not guess, do not explain, do not translate. "
    "Dates are written as YYYY-MM-DD. Quantities are whole numbers without a unit. "
) * 3
_TEXT: dict[str, Any] = {"anyOf": [{"type": "string", "maxLength": 40}, {"type": "null"}]}
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "customer": _TEXT, "article": _TEXT,
        "quantity": {"anyOf": [{"type": "integer"}, {"type": "null"}]}, "date": _TEXT,
    },
    "required": ["customer", "article", "quantity", "date"],
    "additionalProperties": False,
}  # fmt: skip


def messages(number: int) -> tuple[Message, ...]:
    """One of many alike prompts."""
    line = (
        f"Order {4000 + number}: Smith & Sons No. {number} ordered {7 * number + 3} boxes of "
        f"copper pipe type {number % 9}, to be delivered on {1 + number % 28} March 2026."
    )
    return Message(Role.SYSTEM, _INSTRUCTIONS), Message(Role.USER, line)


async def ours(model: str, count: int) -> float:
    """Seconds for all through the engine."""
    async with engine(8, 1024) as local:
        warm = (Message(Role.USER, "x"),)
        await local.complete(GenerateRequest("w", "r", "a", model, warm, max_tokens=1))
        requests = [
            GenerateRequest(f"q{n}", "r", f"a{n}", model, messages(n), _SCHEMA, max_tokens=90)
            for n in range(count)
        ]
        begun = time.perf_counter()
        texts = [
            event.text async for event in local.generate(requests) if isinstance(event, FinishEvent)
        ]
        seconds = time.perf_counter() - begun
    assert len(texts) == count
    for text in texts:
        json.loads(text)
    return seconds


def _chat(number: int) -> Any:
    return [{"role": m.role.value, "content": m.content} for m in messages(number)]


def theirs(model: str, count: int) -> float:
    """Seconds for all, one call after another."""
    import llama_cpp

    threads = default_tuning().threads
    llama = llama_cpp.Llama(
        str(InstalledFiles().resolve(model)), n_ctx=1024, n_threads=threads,
        n_threads_batch=threads, verbose=False,
    )  # fmt: skip
    llama.create_chat_completion(_chat(0)[1:], max_tokens=1)
    begun = time.perf_counter()
    for number in range(count):
        llama.create_chat_completion(
            _chat(number),
            response_format={"type": "json_object", "schema": _SCHEMA},
            temperature=0.0,
            max_tokens=90,
        )
    seconds = time.perf_counter() - begun
    llama.close()
    return seconds


def main() -> None:
    """Interleave both sides."""
    chosen = options("see module", rounds=1, requests=12)
    print(f"{chosen.model}, {chosen.requests} requests, {machine_line()}")
    ratios = []
    for turn in range(chosen.rounds):
        mine = anyio.run(ours, chosen.model, chosen.requests)
        plain = theirs(chosen.model, chosen.requests)
        ratios.append(plain / mine)
        print(f"round {turn + 1}: engine {mine:.1f} s, one after another {plain:.1f} s")
    value = sorted(ratios)[len(ratios) // 2]
    report(
        "engine_sequential", value, "times as fast", "> 1", holds=value > 1,
        against="llama-cpp-python, one call after another", n=chosen.requests,
    )  # fmt: skip


if __name__ == "__main__":
    main()
