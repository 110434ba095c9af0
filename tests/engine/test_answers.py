"""Text, stop strings, sampling and tool calls, without a model."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hivekeep.domain.errors import EngineError
from hivekeep.engine.tools import Answered, ToolCall, ToolSpec, parse_call, tool_schema
from hivekeep.engine.worker.answer import AnswerText
from hivekeep.engine.worker.sampling import choose

TOOLS = (
    ToolSpec("look", "Looks.", {"type": "object", "properties": {"at": {"type": "string"}}}),
    ToolSpec("wait", "Waits.", {"type": "object", "properties": {}}),
)


def spell(text: str, sizes: list[int], stops: tuple[str, ...]) -> tuple[str, AnswerText]:
    answer, streamed, data, at = AnswerText(stops), "", text.encode(), 0
    for size in [*sizes, *[1] * len(data)]:
        if at >= len(data) or answer.stopped:
            break
        streamed += answer.add(data[at : at + size], -0.5)
        at += size
    return streamed + answer.rest(), answer


@given(
    st.text(alphabet="ab#é語", max_size=30), st.lists(st.integers(1, 5), max_size=30),
    st.lists(st.text(alphabet="ab#é", min_size=1, max_size=3), max_size=3),
)  # fmt: skip
def test_an_answer_ends_before_the_first_stop(
    text: str, sizes: list[int], stops: list[str]
) -> None:
    streamed, answer = spell(text, sizes, tuple(stops))
    assert streamed == answer.text
    assert not any(stop in streamed for stop in stops)
    if answer.stopped:
        assert any(text[len(streamed) :].startswith(stop) for stop in stops)
    else:
        assert streamed == text
    assert all(end <= len(streamed.encode()) for _, end, _ in answer.logprobs)


def test_unusable_stops_are_refused() -> None:
    for stops in ([""], ["x" * 300], ["x"] * 30):
        with pytest.raises(EngineError, match="stop strings"):
            AnswerText(stops)


def test_greedy_takes_the_best_allowed_and_says_how_sure_it_is() -> None:
    row = np.array([3.0, 1.0, 2.0, 1.0], dtype=np.float32)
    random = np.random.default_rng(0)
    assert choose(row, None, 0.0, random)[0] == 0
    token, logprob = choose(row, np.array([False, True, True, False]), 0.0, random)
    assert token == 2
    assert logprob == pytest.approx(-np.log1p(np.exp(-1.0)), abs=1e-5)
    with pytest.raises(EngineError, match="no further token"):
        choose(row, np.zeros(4, dtype=bool), 0.0, random)


@given(st.integers(0, 2**32), st.floats(0.1, 2.0))
def test_a_seed_gives_the_same_allowed_token(seed: int, temperature: float) -> None:
    row = np.array([3.0, 1.0, 2.0, 1.0], dtype=np.float32)
    allowed = np.array([False, True, True, True])
    first = choose(row, allowed, temperature, np.random.default_rng(seed))
    assert first == choose(row, allowed, temperature, np.random.default_rng(seed))
    assert allowed[first[0]]


def test_temperature_spreads_as_the_logits_say() -> None:
    row = np.log(np.array([0.7, 0.2, 0.1], dtype=np.float32))
    random = np.random.default_rng(1)
    counts = np.bincount([choose(row, None, 1.0, random)[0] for _ in range(4000)], minlength=3)
    assert np.abs(counts / 4000 - [0.7, 0.2, 0.1]).max() < 0.03


def test_a_call_is_read_as_it_was_offered() -> None:
    schema = tool_schema(TOOLS)
    assert [choice["properties"]["tool"]["const"] for choice in schema["anyOf"]] == [
        "look", "wait", "answer",
    ]  # fmt: skip
    call = json.dumps({"tool": "look", "arguments": {"at": "it"}})
    assert parse_call(call, TOOLS) == ToolCall("look", {"at": "it"})
    assert parse_call('{"tool":"answer","text":"done"}', TOOLS) == Answered("done")
    for bad in ('{"tool":"rm","arguments":{}}', '{"tool":"look","argu', '{"tool":"look"}', "[]"):
        with pytest.raises(EngineError):
            parse_call(bad, TOOLS)
    with pytest.raises(EngineError, match="cannot be offered"):
        tool_schema([*TOOLS, TOOLS[0]])
