"""What one audit record says, as plain data and as canonical JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from hivekeep.audit.canonical import canonical_text, quoted
from hivekeep.domain.errors import AuditError

MAX_CONTENT = 1_000_000


@dataclass(frozen=True, slots=True)
class DataRef:
    """Data an action concerned: what it is, its SHA-256, and the label it carries."""

    name: str
    sha256: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class ModelRef:
    """The model behind an action: name, SHA-256 of its file, and how it was sampled."""

    name: str
    sha256: str = ""
    sampling: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Something to be recorded: who did what, to what, why, with what outcome.

    ``actor`` is who acted (an agent, a run, ``daemon``, a user); ``user``, ``job`` and ``agent``
    say it in parts where they are known.  ``rule`` is the policy rule that decided, ``approval``
    the exact text a person was shown when agreeing.  ``arguments`` are the action's own, or their
    hash.  ``data`` and ``model`` name what it was done on and with.  ``result`` is what came out.
    """

    actor: str
    action: str
    subject: str = ""
    rule: str = ""
    outcome: str = ""
    detail: dict[str, Any] = field(default_factory=dict)
    user: str = ""
    job: str = ""
    agent: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    approval: str = ""
    data: tuple[DataRef, ...] = ()
    model: ModelRef | None = None
    result: str = ""


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """An event as it stands in the log.

    ``time`` is wall-clock seconds since the epoch, ``monotonic`` seconds of the machine's
    monotonic clock, which shows a wall clock that was set back.
    """

    sequence: int
    time: float
    monotonic: float
    actor: str
    action: str
    subject: str
    rule: str
    outcome: str
    detail: dict[str, Any]
    user: str = ""
    job: str = ""
    agent: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    approval: str = ""
    data: tuple[DataRef, ...] = ()
    model: ModelRef | None = None
    result: str = ""


_PLAIN = (
    "subject", "rule", "outcome", "detail", "user", "job", "agent", "arguments", "approval",
    "result",
)  # fmt: skip


def _filled(source: AuditEvent | AuditRecord) -> dict[str, Any]:
    """The fields that are not empty, as plain data."""
    said = {name: value for name in _PLAIN if (value := getattr(source, name))}
    if source.data:
        said["data"] = [_data(item) for item in source.data]
    if source.model is not None:
        said["model"] = _model(source.model)
    return said


def to_bytes(event: AuditEvent, *, time: float, monotonic: float) -> bytes:
    """The content of a record: canonical JSON in which empty fields are left out.

    It is put together here member by member, in the order of RFC 8785, which takes half the time
    of encoding a mapping; every record waits for this.

    :raises AuditError: if the event is too large or holds what JSON cannot.
    """
    parts: list[str] = []
    add = parts.append
    try:
        add(f'{{"action":{quoted(event.action)},"actor":{quoted(event.actor)}')
        if event.agent:
            add(f'"agent":{quoted(event.agent)}')
        if event.approval:
            add(f'"approval":{quoted(event.approval)}')
        if event.arguments:
            add(f'"arguments":{canonical_text(event.arguments)}')
        if event.data:
            add(f'"data":[{",".join(map(_data_text, event.data))}]')
        if event.detail:
            add(f'"detail":{canonical_text(event.detail)}')
        if event.job:
            add(f'"job":{quoted(event.job)}')
        if event.model is not None:
            add(f'"model":{canonical_text(_model(event.model))}')
        add(f'"mono":{int(monotonic * 1_000_000)}')
        if event.outcome:
            add(f'"outcome":{quoted(event.outcome)}')
        if event.result:
            add(f'"result":{quoted(event.result)}')
        if event.rule:
            add(f'"rule":{quoted(event.rule)}')
        if event.subject:
            add(f'"subject":{quoted(event.subject)}')
        add(f'"time":"{timestamp(time)}"')
        if event.user:
            add(f'"user":{quoted(event.user)}')
        content = f"{','.join(parts)}}}".encode()
    except (ValueError, RecursionError) as error:
        raise AuditError(
            "An event cannot be recorded, so it does not happen.", why=f"It holds {error}."
        ) from error
    if len(content) > MAX_CONTENT:
        raise AuditError(
            "An event is too large for the audit log, so it does not happen.",
            why=f"'{event.action}' has {len(content)} bytes, at most {MAX_CONTENT} are possible.",
            next_step="Record the hash of its arguments instead of the arguments.",
        )
    return content


def from_bytes(sequence: int, content: bytes) -> AuditRecord:
    """The record with this content.

    :raises ValueError: if it is something else.
    """
    try:
        said = json.loads(content)
        model = said.get("model")
        return AuditRecord(
            sequence=sequence,
            time=datetime.fromisoformat(said["time"]).timestamp(),
            monotonic=said["mono"] / 1_000_000,
            actor=said["actor"],
            action=said["action"],
            data=tuple(DataRef(**{"name": "", **item}) for item in said.get("data", ())),
            model=ModelRef(**{"name": "", **model}) if model else None,
            **{name: said.get(name, _EMPTY.get(name, "")) for name in _PLAIN},
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"the record's content makes no sense: {error}") from error


def plain(record: AuditRecord) -> dict[str, Any]:
    """A record for other programs: time after RFC 3339, and no empty fields."""
    said: dict[str, Any] = {
        "sequence": record.sequence, "time": timestamp(record.time),
        "actor": record.actor, "action": record.action,
    }  # fmt: skip
    said |= _filled(record)
    return said


def _data_text(item: DataRef) -> str:
    members = []
    if item.label:
        members.append(f'"label":{quoted(item.label)}')
    if item.name:
        members.append(f'"name":{quoted(item.name)}')
    if item.sha256:
        members.append(f'"sha256":{quoted(item.sha256)}')
    return f"{{{','.join(members)}}}"


def _data(item: DataRef) -> dict[str, Any]:
    return _without_empty(name=item.name, sha256=item.sha256, label=item.label)


def _model(model: ModelRef) -> dict[str, Any]:
    return _without_empty(name=model.name, sha256=model.sha256, sampling=model.sampling)


_EMPTY: dict[str, Any] = {"detail": {}, "arguments": {}}


def timestamp(seconds: float) -> str:
    """A moment after RFC 3339, in UTC and with microseconds."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _without_empty(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}
