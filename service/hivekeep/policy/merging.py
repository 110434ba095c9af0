"""Several files combined into one policy that knows for each part which file it comes from.

Responsible for precedence: mandatory values bind, of the others the user's count before the
recommended ones, and both can only narrow what is mandatory.  Invariant: adding a file to those
that state a key never makes that key permit more, except where a weaker value is replaced.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hivekeep.domain.errors import PolicyInvalidError
from hivekeep.policy.layers import Layer, Level
from hivekeep.policy.markers import (
    Allow,
    Demand,
    Deny,
    First,
    Highest,
    ItemKind,
    Lowest,
    Marker,
    Strictest,
)
from hivekeep.policy.paths import canonical, within
from hivekeep.policy.schema import PolicySettings, markers
from hivekeep.policy.types import suffixes_of

DEFAULT_SOURCE = "default"


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a list and where it stands; ``rule`` is like ``files.denied_folders[2]``."""

    value: str
    rule: str
    source: str


@dataclass(frozen=True, slots=True)
class Setting:
    """One key in force. ``value`` for limits and choices, ``items`` for lists (``None``: any)."""

    key: str
    source: str
    value: Any = None
    items: tuple[Item, ...] | None = None


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """What one source says of one key, for people."""

    key: str
    value: Any
    source: str
    level: Level


def merge(layers: Iterable[Layer]) -> tuple[dict[str, Setting], tuple[PolicyRow, ...]]:
    """The keys in force and the rows that explain them.

    :raises PolicyInvalidError: if a mandatory file would permit more than one before it.
    """
    layers = list(layers)
    settings: dict[str, Setting] = {}
    rows: list[PolicyRow] = []
    for key, marker in markers().items():
        stated = [layer for layer in layers if key in layer.values]
        binding = [layer for layer in stated if layer.level is Level.MANDATORY]
        chosen = [layer for layer in stated if layer.level is Level.USER] or [
            layer for layer in stated if layer.level is Level.RECOMMENDED
        ]
        used = binding + chosen[-1:]
        if not used:
            settings[key] = _setting(key, marker, _default(key), DEFAULT_SOURCE)
            rows.append(PolicyRow(key, plain(_default(key)), DEFAULT_SOURCE, Level.DEFAULT))
            continue
        current = _setting(key, marker, used[0].values[key], used[0].source)
        for layer in used[1:]:
            added = _setting(key, marker, layer.values[key], layer.source)
            if layer.level is Level.MANDATORY:
                _refuse_widening(marker, current, added)
            current = _tighten(marker, current, added)
        settings[key] = current
        rows.extend(
            PolicyRow(key, plain(layer.values[key]), layer.source, layer.level) for layer in used
        )
    return settings, tuple(rows)


def as_settings(settings: dict[str, Setting]) -> PolicySettings:
    """The keys in force as one typed value."""
    data: dict[str, dict[str, Any]] = {}
    for key, setting in settings.items():
        section, _, name = key.partition(".")
        value = setting.value
        if setting.items is not None:
            value = [item.value for item in setting.items]
        data.setdefault(section, {})[name] = value
    return PolicySettings.model_validate(data, strict=False)


def closed_settings() -> PolicySettings:
    """What is in force while no policy can be believed: of every key what permits least."""
    data: dict[str, dict[str, Any]] = {}
    for key, marker in markers().items():
        section, _, name = key.partition(".")
        value = _default(key)
        match marker:
            case Allow():
                value = ()
            case Lowest():
                value = 0
            case Strictest(order):
                value = order[0]
        data.setdefault(section, {})[name] = value
    return PolicySettings.model_validate(data, strict=False)


def covers(kind: ItemKind, outer: str, inner: str) -> bool:
    """Whether everything that ``inner`` stands for is also what ``outer`` stands for."""
    match kind:
        case ItemKind.FOLDER:
            return within(canonical(outer)[0], canonical(inner)[0])
        case ItemKind.TYPE:
            return suffixes_of(inner) <= suffixes_of(outer)
        case ItemKind.HOST:
            outer, inner = outer.lower(), inner.lower()
            return outer == inner or (outer.startswith("*.") and inner.endswith(outer[1:]))
        case ItemKind.RECIPIENT:
            return outer == inner or (outer.startswith("@") and inner.endswith(outer))
        case ItemKind.NAME:
            return outer == inner


def _default(key: str) -> Any:
    section, _, name = key.partition(".")
    return getattr(getattr(PolicySettings(), section), name)


def plain(value: Any) -> Any:
    """A value as JSON would have it."""
    return [str(item) for item in value] if isinstance(value, tuple) else value


def _setting(key: str, marker: Marker, value: Any, source: str) -> Setting:
    if isinstance(marker, (Allow, Deny, Demand)) and value is not None:
        items = tuple(
            Item(str(item), f"{key}[{index}]", source) for index, item in enumerate(value)
        )
        return Setting(key, source, items=items)
    return Setting(key, source, value=value)


def _tighten(marker: Marker, first: Setting, second: Setting) -> Setting:
    match marker:
        case Allow(kind):
            mine, other = first.items or (), second.items or ()
            kept = [i for i in mine if any(covers(kind, o.value, i.value) for o in other)]
            known = {item.value for item in kept}
            kept += [
                o
                for o in other
                if o.value not in known and any(covers(kind, i.value, o.value) for i in mine)
            ]
            return Setting(first.key, f"{first.source}, {second.source}", items=tuple(kept))
        case Deny() | Demand():
            both = (first.items or ()) + (second.items or ())
            return Setting(first.key, f"{first.source}, {second.source}", items=both)
        case Lowest():
            return second if second.value < first.value else first
        case Highest():
            return second if second.value > first.value else first
        case Strictest(order):
            return second if order.index(second.value) < order.index(first.value) else first
        case First():
            return first


def _refuse_widening(marker: Marker, first: Setting, second: Setting) -> None:
    match marker:
        case Allow(kind):
            wider = [
                item.rule
                for item in second.items or ()
                if not any(covers(kind, known.value, item.value) for known in first.items or ())
            ]
        case Deny() | Demand() | First():
            wider = []
        case Lowest():
            wider = [second.key] if second.value > first.value else []
        case Highest():
            wider = [second.key] if second.value < first.value else []
        case Strictest(order):
            wider = [second.key] if order.index(second.value) > order.index(first.value) else []
    if wider:
        raise PolicyInvalidError(
            f"The policy {second.source} cannot be used, so nothing is allowed.",
            why=f"Its {wider[0]} permits more than {first.source}, which comes before it.",
            next_step="Let only one mandatory file state the key, or let the later one narrow it.",
        )
