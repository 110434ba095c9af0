"""The lines between the daemon and an engine worker: one JSON object each, UTF-8.

Responsible for turning the domain's inference types into lines and back; not for transport.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from hivekeep.domain.inference import (
    FailEvent,
    FinishEvent,
    GenerateRequest,
    TokenEvent,
)
from hivekeep.journal import decode, encode

_EVENTS: dict[str, type[TokenEvent | FinishEvent | FailEvent]] = {
    "token": TokenEvent,
    "finish": FinishEvent,
    "fail": FailEvent,
}


@dataclass(frozen=True, slots=True)
class Cancel:
    """Give up the request ``id``."""

    id: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The model is loaded. ``context`` is tokens for each of ``slots`` sequences.

    ``gpu_layers`` is how many layers were asked to be kept on a graphics processor.
    """

    slots: int
    context: int
    threads: int
    gpu_layers: int = 0


@dataclass(frozen=True, slots=True)
class Beat:
    """A sign of life while working, about once a second.

    ``batches`` counts those computed, ``cpu`` the processor seconds used since the start.
    """

    active: int
    waiting: int
    tokens_per_second: float
    batches: int = 0
    cpu: float = 0.0


@dataclass(frozen=True, slots=True)
class Outgrown:
    """A request needs ``tokens`` in one sequence: more than it has here, less than the model can.

    The worker has forgotten the request; it has to be given to one with a larger context.
    """

    request: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Fatal:
    """The worker cannot go on, and says why before it ends."""

    what: str
    why: str = ""
    next_step: str = ""


WorkerMessage = Ready | Beat | Fatal | Outgrown | TokenEvent | FinishEvent | FailEvent
_STATUS: dict[str, type[Ready | Beat | Fatal | Outgrown]] = {
    "ready": Ready,
    "beat": Beat,
    "fatal": Fatal,
    "outgrown": Outgrown,
}


def command_line(command: GenerateRequest | Cancel) -> bytes:
    """A command to the worker as one line."""
    name = "cancel" if isinstance(command, Cancel) else "generate"
    return _line(name, command)


def parse_command(line: bytes) -> GenerateRequest | Cancel:
    """The inverse of :func:`command_line`.

    :raises ValueError: if it is not a command.
    """
    name, body = _split(line)
    return decode(Cancel, body) if name == "cancel" else decode(GenerateRequest, body)


def message_line(message: WorkerMessage) -> bytes:
    """A message from the worker as one line."""
    for table in (_EVENTS, _STATUS):
        for name, kind in table.items():
            if type(message) is kind:
                return _line(name, message)
    raise TypeError(type(message).__name__)


def parse_message(line: bytes) -> WorkerMessage:
    """The inverse of :func:`message_line`.

    :raises ValueError: if it is not a message.
    """
    name, body = _split(line)
    kind = _EVENTS.get(name) or _STATUS.get(name)
    if kind is None:
        raise ValueError(f"unknown message {name!r}")
    return decode(kind, body)


def _line(name: str, body: object) -> bytes:
    return json.dumps([name, encode(body)], separators=(",", ":")).encode() + b"\n"


def _split(line: bytes) -> tuple[str, dict[str, Any]]:
    name, body = json.loads(line)
    return str(name), body
