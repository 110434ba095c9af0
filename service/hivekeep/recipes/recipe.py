"""Recipes: loaded, found by name, and compiled into plans.

Responsible for turning a file into a ``Plan``, or into an error that names each problem's line.
Invariant: a recipe that was loaded compiles, and its hash is that of the bytes it was loaded from.
"""

from __future__ import annotations

import hashlib
import json
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hivekeep.domain.budgets import Budget, RunLimits
from hivekeep.domain.errors import NotFoundError, RecipeError
from hivekeep.domain.fields import (
    Example,
    FieldSpec,
    FieldType,
    FileAction,
    OrderCheck,
    Plan,
    SecondLook,
    SumCheck,
    Vote,
)
from hivekeep.domain.saying import say
from hivekeep.recipes.consistency import problems, suggestion
from hivekeep.recipes.model import (
    BudgetModel,
    ChecksModel,
    ColumnModel,
    ExampleModel,
    FieldModel,
    FileActionModel,
    LimitsModel,
    OrderModel,
    RecipeModel,
    SecondLookModel,
    SumModel,
    TestModel,
    VoteModel,
)
from hivekeep.recipes.parsing import MAX_BYTES, Mark, Parsed, ParseError, parse

_BUILT_IN = Path(__file__).with_name("builtin")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,49}$")
_SUFFIXES = (".yaml", ".yml")
_MAX_PROBLEMS = 12
_OWN_WORDING = frozenset({FieldType.PROSE, FieldType.CHOICE, FieldType.BOOLEAN})
_PROSE_LENGTH = 600
_TEXT_LENGTH = 200
# Which keys stand where, so that a misspelt one can be answered with the right one.
_MODELS: dict[tuple[str, ...], type[BaseModel]] = {
    (): RecipeModel,
    ("fields",): FieldModel,
    ("fields", "columns"): ColumnModel,
    ("checks",): ChecksModel,
    ("checks", "sums"): SumModel,
    ("checks", "orders"): OrderModel,
    ("file_action",): FileActionModel,
    ("limits",): LimitsModel,
    ("limits", "run"): BudgetModel,
    ("limits", "agent"): BudgetModel,
    ("vote",): VoteModel,
    ("second_look",): SecondLookModel,
    ("examples",): ExampleModel,
    ("test",): TestModel,
}


@dataclass(frozen=True, slots=True)
class RecipeTest:
    """A document, relative to the recipe's file, and the values expected in it."""

    file: str
    expect: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Recipe:
    """A valid recipe. ``sha256`` is the hex digest of its file's bytes."""

    model: RecipeModel
    path: Path
    sha256: str
    builtin: bool = False

    @property
    def name(self) -> str:
        """The name it is used by."""
        return self.model.name

    @property
    def title(self) -> str:
        """The name shown to people."""
        return self.model.title

    @property
    def version(self) -> str:
        """Its author's version."""
        return self.model.version

    @property
    def tests(self) -> tuple[RecipeTest, ...]:
        """Its own test cases."""
        return tuple(RecipeTest(test.file, test.expect) for test in self.model.test)

    def compile(self) -> Plan:
        """The plan that sub-agents follow.

        :raises RecipeError: if the adapter that it names is not there.
        """
        model = self.model
        action = model.file_action
        plan = Plan(
            recipe=model.name,
            recipe_version=model.version,
            recipe_hash=self.sha256,
            kind=model.kind,
            title=model.title,
            instructions=model.instructions.strip(),
            fields=tuple(_field(field) for field in model.fields),
            sums=tuple(SumCheck(s.terms, s.total, s.tolerance) for s in model.checks.sums),
            orders=tuple(OrderCheck(o.earlier, o.later) for o in model.checks.orders),
            max_tokens=model.max_tokens,
            context_tokens=model.context_tokens,
            first_look_tokens=min(model.first_look_tokens, model.context_tokens),
            labels_first=model.labels_first,
            draft_model=model.draft_model or "",
            file_action=FileAction(
                action.kind,
                str(Path(action.root).expanduser()) if action.root else "",
                action.folder_field,
            ),
            limits=RunLimits(
                agents=model.limits.agents,
                depth=model.limits.depth,
                run=Budget(**model.limits.run.model_dump()),
                agent=Budget(**model.limits.agent.model_dump()),
            ),
            vote=Vote(**model.vote.model_dump()) if model.vote else None,
            second_look=SecondLook(**model.second_look.model_dump()) if model.second_look else None,
            overview=model.overview,
            adapter=self._adapter(),
            examples=tuple(Example(e.document, tuple(e.values.items())) for e in model.examples),
        )
        return plan if model.model is None else replace(plan, model=model.model)

    def _adapter(self) -> str:
        if self.model.adapter is None:
            return ""
        path = (self.path.parent / Path(self.model.adapter).expanduser()).resolve()
        if not path.is_file():
            raise RecipeError(
                f"The adapter of the recipe '{self.name}' is missing.",
                why=f"There is no file {path}.",
                next_step="'adapter' names a LoRA file in GGUF, relative to the recipe's file.",
            )
        return str(path)


def load_recipe(path: Path) -> Recipe:
    """The recipe in a file.

    :raises NotFoundError: if there is no such file.
    :raises RecipeError: if it is wrong; ``why`` names each problem's line and column.
    """
    return _load(path, builtin=False)


def builtin_recipes() -> dict[str, Recipe]:
    """The recipes that ship with Hivekeep, by name."""
    loaded = (_load(path, builtin=True) for path in sorted(_BUILT_IN.glob("*.yaml")))
    return {recipe.name: recipe for recipe in loaded}


def find_recipe(name_or_path: str, user_dir: Path) -> Recipe:
    """A recipe by the path of its file, or by name among the user's own and then the built-in.

    :raises NotFoundError: if there is none.
    :raises RecipeError: if it is wrong.
    """
    if name_or_path.endswith(_SUFFIXES):
        return load_recipe(Path(name_or_path))
    if _NAME.match(name_or_path):
        for suffix in _SUFFIXES:
            if (user_dir / f"{name_or_path}{suffix}").is_file():
                return load_recipe(user_dir / f"{name_or_path}{suffix}")
        for recipe in _user_recipes(user_dir):
            if recipe.name == name_or_path:
                return recipe
        if (_BUILT_IN / f"{name_or_path}.yaml").is_file():
            return _load(_BUILT_IN / f"{name_or_path}.yaml", builtin=True)
    known = {path.stem for path in (*_BUILT_IN.glob("*.yaml"), *user_dir.glob("*.y*ml"))}
    near = get_close_matches(name_or_path, sorted(known), n=1)
    raise NotFoundError(
        say("error.no_recipe", "There is no recipe '{recipe}'.", recipe=name_or_path),
        why=f"Did you mean '{near[0]}'?" if near else f"There are: {', '.join(sorted(known))}.",
        next_step="See 'hivekeep recipes list', or give the path of a recipe file.",
    )


def _user_recipes(folder: Path) -> Iterator[Recipe]:
    for path in sorted(folder.glob("*.y*ml")):
        try:
            yield load_recipe(path)
        except (RecipeError, NotFoundError):
            continue  # 'recipes validate' speaks of it; here another recipe is looked for


def _load(path: Path, *, builtin: bool) -> Recipe:
    try:
        if not path.is_file():
            raise NotFoundError(
                f"There is no recipe file '{path}'.",
                next_step=f"hivekeep recipes new {path.name}",
            )
        with path.open("rb") as source:
            raw = source.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise RecipeError(f"The recipe '{path}' cannot be read.", why=f"{why}.") from error
    return Recipe(_validate(path, raw), path, hashlib.sha256(raw).hexdigest(), builtin)


@lru_cache(maxsize=16)
def _validate(path: Path, raw: bytes) -> RecipeModel:
    # Kept by its bytes: a watched folder asks for its recipe with every file, and YAML is slow.
    try:
        parsed = parse(raw)
    except ParseError as error:
        raise _wrong(path, [(error.mark, error.message)]) from error
    if not isinstance(parsed.data, dict):
        raise _wrong(path, [(Mark(1, 1), "a recipe is a list of keys with values")])
    try:
        model = RecipeModel.model_validate_json(json.dumps(parsed.data))
    except ValidationError as error:
        details = error.errors()
        # A list whose items are wrong is also reported as too short, which says nothing.
        inner = {detail["loc"][:depth] for detail in details for depth in range(len(detail["loc"]))}
        lines = [
            _at(parsed, detail["loc"], _message(detail))
            for detail in details
            if not (detail["type"] == "too_short" and detail["loc"] in inner)
        ]
        raise _wrong(path, lines) from error
    found = [_at(parsed, place, message) for place, message in problems(model)]
    if found:
        raise _wrong(path, found)
    return model


def _message(detail: ErrorDetails) -> str:
    place = detail["loc"]
    given = detail["input"]
    match detail["type"]:
        case "extra_forbidden":
            names = tuple(str(part) for part in place[:-1] if isinstance(part, str))
            model = _MODELS.get(names)
            known = model.model_fields if model else ()
            return f"there is no key '{place[-1]}' here{suggestion(str(place[-1]), known)}"
        case "missing":
            return f"the key '{place[-1]}' is missing"
        case "enum":
            expected = str(detail.get("ctx", {}).get("expected", ""))
            near = suggestion(str(given), re.findall(r"'([^']+)'", expected))
            return f"'{given}' is not one of {expected}{near}"
        case "string_type":
            return "this has to be text, so put it in quotes"
        case "string_pattern_mismatch":
            return f"'{given}' may have only lower-case letters, digits and " + (
                "hyphens" if place == ("name",) else "underscores, and begins with a letter"
            )
        case _:
            return detail["msg"].replace("Input should", "it should")


def _at(parsed: Parsed, place: tuple[str | int, ...], message: str) -> tuple[Mark, str]:
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return parsed.mark(place), f"{name.lstrip('.')}: {message}" if name else message


def _wrong(path: Path, found: list[tuple[Mark, str]]) -> RecipeError:
    found.sort(key=lambda problem: (problem[0].line, problem[0].column))
    lines = [
        f"line {mark.line}, column {mark.column}: {_one_line(message)}"
        for mark, message in found[:_MAX_PROBLEMS]
    ]
    if len(found) > len(lines):
        lines.append(f"and {len(found) - len(lines)} more")
    return RecipeError(
        say("error.recipe", "The recipe '{path}' is wrong.", path=path),
        why=f"{path.name}, {'; '.join(lines)}.",
        next_step="Correct it; docs/recipes.md lists all keys.",
    )


def _one_line(message: str) -> str:
    """A file's own words may be long and hold line breaks."""
    return textwrap.shorten(message, 300, placeholder=" …")


def _field(field: FieldModel) -> FieldSpec:
    spec = _column(field)
    return FieldSpec(
        name=spec.name,
        type=spec.type,
        title=spec.title,
        description=spec.description,
        aliases=spec.aliases,
        choices=spec.choices,
        columns=tuple(_column(column) for column in field.columns),
        required=field.required,
        grounded=spec.grounded,
        max_length=spec.max_length,
        max_rows=field.max_rows,
    )


def _column(column: ColumnModel) -> FieldSpec:
    usual = _PROSE_LENGTH if column.type is FieldType.PROSE else _TEXT_LENGTH
    grounded = column.type not in _OWN_WORDING
    return FieldSpec(
        name=column.name,
        type=column.type,
        title=column.title or column.name.replace("_", " ").capitalize(),
        description=column.description,
        aliases=column.aliases,
        choices=column.choices,
        grounded=grounded if column.grounded is None else column.grounded,
        max_length=column.max_length or usual,
    )
