"""Kept answers: for what they are taken, how much is kept, and that nobody else can read them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hivekeep.domain.inference import FinishEvent, FinishReason, GenerateRequest, Message, Role
from hivekeep.domain.runs import Usage
from hivekeep.engine.answer_cache import AnswerCache, CachedCompleter
from hivekeep.journal.database import KEY_BYTES

KEY = bytes(range(KEY_BYTES))
ASKED = GenerateRequest(
    "r1", "run", "agent", "m", (Message(Role.USER, "Who is the seller?"),), {"type": "object"}
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


pytestmark = pytest.mark.anyio


def written(folder: Path) -> bytes:
    """Every byte of every file in ``folder``."""
    return b"".join(file.read_bytes() for file in folder.iterdir())


class Model:
    """Counts what it is asked."""

    def __init__(self, reason: FinishReason = FinishReason.STOP) -> None:
        self.asked = 0
        self.reason = reason

    async def complete(self, request: GenerateRequest) -> FinishEvent:
        self.asked += 1
        text = f'{{"seller":"Nordlicht {self.asked}"}}'
        return FinishEvent(request.id, text, self.reason, Usage(90, 10, 8), 2.5, ((0, 4, -0.5),))


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[AnswerCache]:
    ticks = itertools.count()
    with AnswerCache(
        tmp_path / "answers.db", key=KEY, clock=lambda: float(next(ticks)), most_bytes=20_000
    ) as opened:
        yield opened


async def test_the_same_question_is_computed_once(cache: AnswerCache) -> None:
    model = Model()
    completer = CachedCompleter(model, cache, lambda _name: "ab" * 32)
    first = await completer.complete(ASKED)
    again = await completer.complete(replace(ASKED, id="r2", run="other", agent="b", priority=1))
    assert model.asked == 1
    assert (again.text, again.logprobs, again.request) == (first.text, first.logprobs, "r2")
    assert again.usage == Usage(prompt=90, cached=90, completion=0)


@pytest.mark.parametrize(
    "other",
    [
        replace(ASKED, messages=(Message(Role.USER, "Who is the buyer?"),)),
        replace(ASKED, schema={"type": "array"}),
        replace(ASKED, max_tokens=7),
        replace(ASKED, stop=("x",)),
        replace(ASKED, model="n"),
        replace(ASKED, temperature=0.7),
        replace(ASKED, adapter="/a.gguf"),
    ],
)
async def test_a_different_question_is_not_answered_from_it(
    cache: AnswerCache, other: GenerateRequest
) -> None:
    model = Model()
    completer = CachedCompleter(model, cache, lambda name: name * 64)
    await completer.complete(ASKED)
    await completer.complete(other)
    assert model.asked == 2


@pytest.mark.parametrize(("sha256", "allowed"), [("", True), ("ab", False)])
async def test_nothing_is_kept_without_a_hash_or_against_policy(
    cache: AnswerCache, sha256: str, allowed: bool
) -> None:
    model = Model()
    completer = CachedCompleter(model, cache, lambda _name: sha256, lambda: allowed)
    for _ in range(2):
        await completer.complete(ASKED)
    assert model.asked == 2
    assert cache.size == 0


async def test_a_cancelled_answer_is_not_kept(cache: AnswerCache) -> None:
    completer = CachedCompleter(Model(FinishReason.CANCELLED), cache, lambda _name: "ab")
    await completer.complete(ASKED)
    assert cache.size == 0


async def test_the_answers_used_longest_ago_make_room(cache: AnswerCache) -> None:
    model = Model()
    completer = CachedCompleter(model, cache, lambda _name: "ab")
    for number in range(200):
        await completer.complete(replace(ASKED, max_tokens=number + 1))
        await completer.complete(replace(ASKED, max_tokens=1))
        assert cache.size <= 20_000
    assert model.asked == 200
    await completer.complete(replace(ASKED, max_tokens=200))
    assert model.asked == 200
    await completer.complete(replace(ASKED, max_tokens=2))
    assert model.asked == 201


async def test_answers_outlive_the_process_and_are_unreadable_without_the_key(
    tmp_path: Path,
) -> None:
    path, model = tmp_path / "answers.db", Model()
    for _ in range(2):
        with AnswerCache(path, key=KEY, clock=lambda: 1.0) as cache:
            await CachedCompleter(model, cache, lambda _name: "ab").complete(ASKED)
    assert model.asked == 1
    assert b"Nordlicht" not in written(tmp_path)
    with AnswerCache(path, key=bytes(KEY_BYTES), clock=lambda: 1.0) as other:
        assert other.size == 0
