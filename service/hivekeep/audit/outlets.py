"""The places outside the log that policy names: witnesses of checkpoints, sinks of records.

Responsible for having exactly those that the settings name, also after they changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hivekeep import __version__
from hivekeep.audit.delivery import Target
from hivekeep.audit.forwarding import Forwarder, SinkState
from hivekeep.audit.sealing import ReadingKey
from hivekeep.audit.witness import Witnesses, WitnessState, kept_in_folders


@dataclass(frozen=True, slots=True)
class LogView:
    """What outlets need of a log: its folder and name, and what changes while it is open."""

    folder: Path
    log: str
    reader: Callable[[], ReadingKey]
    acknowledged: Callable[[], int]


class Outlets:
    """The witnesses and sinks of one open log."""

    def __init__(self, view: LogView) -> None:
        self._view = view
        self._targets: tuple[Target, ...] = ()
        self._witnesses = Witnesses((), view.log)
        self._sinks: dict[str, Forwarder] = {}

    def use(self, witnesses: Sequence[Target], sinks: Sequence[Target]) -> None:
        """Have these from now on."""
        if tuple(witnesses) != self._targets:
            self._targets = tuple(witnesses)
            self._witnesses = Witnesses(witnesses, self._view.log)
        wanted = {target.text: target for target in sinks}
        for text in self._sinks.keys() - wanted.keys():
            self._sinks.pop(text).stop()
        view = self._view
        for text in wanted.keys() - self._sinks.keys():
            self._sinks[text] = Forwarder(
                view.folder, wanted[text], view.reader, view.acknowledged, __version__
            )

    def written(self) -> None:
        """There are new records."""
        for sink in tuple(self._sinks.values()):  # settings may change meanwhile
            sink.written()

    def publish(self, note: str) -> None:
        """Hand a checkpoint to the witnesses."""
        self._witnesses.publish(note)

    def witnessed(self) -> list[tuple[str, str]]:
        """The checkpoints that can be read back, with their places."""
        return kept_in_folders(self._targets, self._view.log)

    def witness_states(self, note: str) -> list[WitnessState]:
        """How each witness is."""
        return self._witnesses.states(note)

    def sink_states(self) -> list[SinkState]:
        """How each sink is."""
        return [sink.state for sink in tuple(self._sinks.values())]

    def stop(self) -> None:
        """End all deliveries."""
        for sink in self._sinks.values():
            sink.stop()
        self._sinks = {}
