"""Actions written down by people: on the command line and in files of test cases.

Responsible for turning names and values into an ``Action`` and for judging a file of cases; it asks
a policy that is handed to it.  Invariant: a misspelt field or kind is an error, not a case that
passes because it says nothing.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from hivekeep.domain.actions import Action, ActionKind, Decision, Effect
from hivekeep.domain.errors import UsageError
from hivekeep.policy.policy import Policy

_ACTION = TypeAdapter(Action)
_FIELDS = {field.name: field for field in dataclasses.fields(Action)}
_LISTS = frozenset({"packages", "arguments"})
_PLACES = frozenset({"path", "target"})


class Case(BaseModel):
    """One case: an action and the expected answer; ``rule`` is how the deciding rule begins."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1)
    action: dict[str, Any]
    expect: Effect
    rule: str = ""
    confirmed: bool = False


class CaseFile(BaseModel):
    """A file of cases; ``policies`` are the files it is about, seen from its own folder."""

    model_config = ConfigDict(extra="forbid")

    policies: tuple[str, ...] = ()
    cases: tuple[Case, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one case."""

    case: Case
    decision: Decision

    @property
    def passed(self) -> bool:
        """Whether the policy answers as expected."""
        return self.decision.effect is self.case.expect and self.decision.rule.startswith(
            self.case.rule
        )


def action_of(data: Mapping[str, Any]) -> Action:
    """The action with these fields; ``~`` in paths is the home folder.

    :raises UsageError: if there is no such field or kind, or a value is of the wrong type.
    """
    unknown = [name for name in data if name not in _FIELDS]
    if unknown:
        raise UsageError(
            f"An action has no '{unknown[0]}'.", next_step=f"It may have {', '.join(_FIELDS)}."
        )
    values = dict(data)
    for name in _LISTS & values.keys():
        if isinstance(values[name], str):
            values[name] = [part for part in values[name].split(",") if part]
    for name in _PLACES & values.keys():
        values[name] = os.path.expanduser(str(values[name]))  # noqa: PTH111 - nothing is opened
    try:
        return _ACTION.validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else "action"
        kinds = f"Kinds are {', '.join(ActionKind)}." if field == "kind" else ""
        raise UsageError(
            f"The action's '{field}' is wrong.", why=f"{first['msg']}.", next_step=kinds
        ) from error


def parse_cases(text: str, source: str) -> CaseFile:
    """The cases in a YAML or JSON text.

    :raises UsageError: if it cannot be understood.
    """
    try:
        return CaseFile.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"Line {mark.line + 1}: " if mark else ""
        why = f"{line}{getattr(error, 'problem', None) or error}."
        raise UsageError(f"The cases in {source} cannot be read.", why=why) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UsageError(
            f"The cases in {source} cannot be used.", why=f"{place}: {first['msg']}."
        ) from error
    except RecursionError as error:
        raise UsageError(f"The cases in {source} are nested too deeply.") from error


def judge(policy: Policy, cases: Iterable[Case]) -> list[Outcome]:
    """Ask ``policy`` about each case.

    :raises UsageError: if a case's action is wrong.
    """
    return [
        Outcome(case, policy.decide(action_of(case.action), confirmed=case.confirmed))
        for case in cases
    ]
