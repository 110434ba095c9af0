"""Hands signed checkpoints to places outside this machine, and reads back those in folders.

Responsible for keeping every witness up to date; a witness that cannot be reached holds nothing up,
and the state says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hivekeep.audit.delivery import DeliveryError, Target, send_checkpoint
from hivekeep_verify.cli import split_notes


@dataclass(frozen=True, slots=True)
class WitnessState:
    """How a witness is: whether it has the newest checkpoint, or why not."""

    target: str
    current: bool
    why: str


class Witnesses:
    """The witnesses of one log."""

    def __init__(self, targets: Sequence[Target], log: str) -> None:
        self._targets, self._log = tuple(targets), log
        self._has: dict[str, str] = {}
        self._why: dict[str, str] = {}

    def publish(self, note: str) -> None:
        """Hand a checkpoint to every witness that does not have it."""
        for target in self._targets:
            if self._has.get(target.text) == note:
                continue
            try:
                send_checkpoint(target, note, self._log)
            except DeliveryError as error:
                self._why[target.text] = str(error)
            else:
                self._has[target.text] = note
                self._why.pop(target.text, None)

    def states(self, note: str) -> list[WitnessState]:
        """How each witness is, if ``note`` is the newest checkpoint."""
        return [
            WitnessState(t.text, self._has.get(t.text) == note, self._why.get(t.text, ""))
            for t in self._targets
        ]


def kept_in_folders(targets: Sequence[Target], log: str) -> list[tuple[str, str]]:
    """The checkpoints that witnesses of this log keep in folders, with their places.

    A folder that cannot be reached keeps nothing as far as can be told; the caller says so.
    """
    found: list[tuple[str, str]] = []
    for target in targets:
        if target.url.scheme != "file":
            continue
        path = Path(target.url.path) / f"{log}.checkpoints"
        try:
            text = path.read_text(encoding="utf-8")
        except OSError:
            continue
        found += [(str(path), note) for note in split_notes(text)]
    return found
