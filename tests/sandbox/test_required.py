"""A policy that demands protections: what is missing means that nothing is opened."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from hivekeep.daemon.gate import PolicyGate
from hivekeep.domain.actions import Action, ActionKind
from hivekeep.domain.errors import PolicyDeniedError
from hivekeep.policy import PolicyHolder, PolicySources


class Log:
    """An audit log in memory."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def append_many(self, events: Sequence[Any]) -> int:
        self.events.extend(events)
        return len(self.events)


def gate(folder: Path, required: list[str]) -> tuple[PolicyGate, Log]:
    user = folder / "policy.json"
    user.write_text(json.dumps({"sandbox": {"required": required}}))
    log = Log()
    holder = PolicyHolder(PolicySources(folder / "none", folder / "none", user))
    return PolicyGate(holder, log), log  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [ActionKind.START_RUN, ActionKind.READ_FILE, ActionKind.RUN_CODE])
def test_missing_means_refusing(
    tmp_path: Path, kind: ActionKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hivekeep.daemon.gate.missing_protections", lambda _: ("landlock",))
    tried, log = gate(tmp_path, ["landlock"])
    with pytest.raises(PolicyDeniedError, match="landlock") as caught:
        anyio.run(tried.require, Action(kind, path=str(tmp_path / "a.txt"), count=1))
    assert caught.value.rule == "sandbox.required"
    assert log.events[-1].outcome == "denied"
    assert log.events[-1].rule == "sandbox.required"


def test_what_is_there_is_enough(tmp_path: Path) -> None:
    tried, _ = gate(tmp_path, ["resource_limits"])
    assert anyio.run(tried.require, Action(ActionKind.START_RUN, count=1))
