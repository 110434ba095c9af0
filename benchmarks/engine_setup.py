"""What the engine's measurements share: a model, an engine on it, requests of a known size."""

from __future__ import annotations

import argparse
import os
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psutil

from hivekeep.daemon.profile import Profile
from hivekeep.domain.inference import GenerateRequest, Message, Role
from hivekeep.engine.calibration import Calibrations
from hivekeep.engine.local import EngineSettings, LocalEngine
from hivekeep.engine.settings import Tuning, default_tuning
from hivekeep.engine.store import DEFAULT_MODEL, ModelStore

SMALL = "smollm2-135m-instruct-q4_1"
_WORDS = ("river", "stone", "window", "garden", "letter", "market", "silver", "morning", "bridge")


class InstalledFiles:
    """The user's models, as the engine sees them."""

    def __init__(self) -> None:
        self._store = ModelStore(Profile.models())

    def resolve(self, name: str) -> Path:
        """The verified file."""
        return self._store.resolve(name)

    def installed(self) -> Sequence[tuple[str, int]]:
        """Not needed here."""
        return []


def options(description: str, *, model: str = DEFAULT_MODEL, **numbers: int) -> argparse.Namespace:
    """The command line: ``--model`` and a number for each keyword."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", default=model)
    for name, value in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    return parser.parse_args()


class FixedTuning:
    """The same settings however the machine was measured."""

    def __init__(self, tuning: Tuning) -> None:
        self._tuning = tuning

    async def tuning(self, model: str, path: Path) -> Tuning:
        """These."""
        return self._tuning


def engine(slots: int, context: int, *, chunk_alone: int = 256) -> LocalEngine:
    """An engine with ``slots`` sequences of ``context`` tokens."""
    settings = EngineSettings(slots=slots, context=context)
    tuning = replace(default_tuning(), chunk_alone=chunk_alone)
    return LocalEngine(InstalledFiles(), settings, tuner=FixedTuning(tuning))


def calibrations() -> Calibrations:
    """The user's measurements."""
    return Calibrations(Profile.models() / "calibration")


def ask(
    number: int, model: str, words: int, answer: int, *, run: str = "r", exact: bool = False
) -> GenerateRequest:
    """A prompt of about ``words`` tokens, unlike any other from its first word on.

    ``exact``: a schema keeps the answer from ending before ``answer`` tokens.
    """
    chance = random.Random(number)
    text = " ".join(chance.choice(_WORDS) for _ in range(words))
    question = f"{number} {text}. Write the numbers from 1 to 999, one a line, and nothing else."
    schema = {"type": "string", "minLength": 40 * answer} if exact else None
    return GenerateRequest(
        f"q{number}", run, f"a{number}", model, (Message(Role.USER, question),), schema,
        max_tokens=answer,
    )  # fmt: skip


def rss(pids: Sequence[int]) -> int:
    """Resident bytes of these processes, or of this one if there are none."""
    return sum(psutil.Process(pid).memory_info().rss for pid in pids or [os.getpid()])


def machine_line() -> str:
    """The machine in words, for the record."""
    memory = psutil.virtual_memory().total / 2**30
    return f"{default_tuning().threads} processors, {memory:.0f} GiB, load {os.getloadavg()[0]:.1f}"
