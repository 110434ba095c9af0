"""Whether the parts of a recipe fit together.

Responsible for what a schema cannot say: names that refer to one another, and keys that belong to
certain types.  Invariant: a recipe without problems compiles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from pathlib import PurePath

from hivekeep.domain.fields import FieldType, FileActionKind, PlanKind
from hivekeep.recipes.model import ColumnModel, RecipeModel
from hivekeep.recipes.parsing import Path

_NUMBERS = frozenset({FieldType.AMOUNT, FieldType.NUMBER, FieldType.INTEGER})
_FOLDERS = frozenset({FieldType.TEXT, FieldType.NAME, FieldType.IDENTIFIER, FieldType.CHOICE})

Problem = tuple[Path, str]


def problems(recipe: RecipeModel) -> Iterator[Problem]:
    """Every problem with the path of the value that causes it."""
    yield from _names((("fields",), recipe.fields))
    for index, field in enumerate(recipe.fields):
        path: Path = ("fields", index)
        yield from _column(field, path)
        if (field.type is FieldType.ROWS) != bool(field.columns):
            yield (*path, "columns"), "'columns' belong to the type 'rows', and it needs some"
        yield from _names(((*path, "columns"), field.columns))
        for number, column in enumerate(field.columns):
            yield from _column(column, (*path, "columns", number))
            if column.type is FieldType.ROWS:
                yield (*path, "columns", number, "type"), "a column cannot be a table"
    yield from _checks(recipe)
    yield from _file_action(recipe)
    if recipe.overview and not any(field.type is FieldType.PROSE for field in recipe.fields):
        yield ("overview",), "an overview sums up prose, so a field has to be of type 'prose'"
    if recipe.kind is PlanKind.SUMMARIZE and (recipe.vote or recipe.second_look):
        name = "vote" if recipe.vote else "second_look"
        yield (name,), f"'{name}' belongs to the kind 'extract'"
    known = {field.name for field in recipe.fields}
    yield from _examples(recipe)
    for index, test in enumerate(recipe.test):
        for name in test.expect:
            if name not in known:
                yield ("test", index, "expect", name), _unknown(name, known)


def _examples(recipe: RecipeModel) -> Iterator[Problem]:
    fields = {field.name: field for field in recipe.fields}
    for index, example in enumerate(recipe.examples):
        for name, value in example.values.items():
            path: Path = ("examples", index, "values", name)
            if name not in fields:
                yield path, _unknown(name, fields)
            elif fields[name].type is FieldType.ROWS:
                yield path, f"'{name}' is a table, of which no example can be given"
            elif fields[name].choices and value not in (*fields[name].choices, None):
                yield path, f"'{value}' is not one of the choices of '{name}'"


def suggestion(word: str, known: Iterable[str]) -> str:
    """`` (did you mean '…'?)`` or nothing."""
    near = get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f" (did you mean '{near[0]}'?)" if near else ""


def _unknown(name: str, known: Iterable[str]) -> str:
    return f"there is no field '{name}'{suggestion(name, known)}"


def _names(group: tuple[Path, tuple[ColumnModel, ...]]) -> Iterator[Problem]:
    path, columns = group
    seen: set[str] = set()
    for index, column in enumerate(columns):
        if column.name in seen:
            yield (*path, index, "name"), f"the name '{column.name}' is taken already"
        seen.add(column.name)


def _column(column: ColumnModel, path: Path) -> Iterator[Problem]:
    if (column.type is FieldType.CHOICE) != bool(column.choices):
        yield (*path, "choices"), "'choices' belong to the type 'choice', and it needs some"
    if len(set(column.choices)) != len(column.choices):
        yield (*path, "choices"), "a choice stands there twice"


def _checks(recipe: RecipeModel) -> Iterator[Problem]:
    types = {field.name: field.type for field in recipe.fields}
    columns = {
        f"{field.name}.{column.name}": column.type
        for field in recipe.fields
        for column in field.columns
    }
    for index, check in enumerate(recipe.checks.sums):
        path: Path = ("checks", "sums", index)
        named = [(("terms", number), term) for number, term in enumerate(check.terms)]
        for key, name in (*named, (("total",), check.total)):
            found = {**types, **columns} if key[0] == "terms" else types
            if name not in found:
                yield (*path, *key), _unknown(name, found)
            elif found[name] not in _NUMBERS:
                yield (*path, *key), f"'{name}' is not an amount or a number"
        try:
            sound = Decimal(check.tolerance).is_finite() and Decimal(check.tolerance) >= 0
        except InvalidOperation:
            sound = False
        if not sound:
            yield (*path, "tolerance"), "a tolerance is a number that is not negative"
    for index, order in enumerate(recipe.checks.orders):
        path = ("checks", "orders", index)
        ends = (("earlier", order.earlier), ("later", order.later))
        for side, name in ends:
            if name not in types:
                yield (*path, side), _unknown(name, types)
            elif types[name] not in {*_NUMBERS, FieldType.DATE}:
                yield (*path, side), f"'{name}' is not a date or a number"
        first, second = types.get(order.earlier), types.get(order.later)
        if first and second and (first is FieldType.DATE) != (second is FieldType.DATE):
            yield path, "a date cannot be compared with a number"


def _file_action(recipe: RecipeModel) -> Iterator[Problem]:
    action = recipe.file_action
    if action.kind is FileActionKind.NONE:
        return
    root = PurePath(action.root)
    if not (root.is_absolute() or action.root.startswith("~/")) or ".." in root.parts:
        yield ("file_action", "root"), "'root' has to be an absolute path, or start with '~/'"
    types = {field.name: field.type for field in recipe.fields}
    if action.folder_field not in types:
        yield ("file_action", "folder_field"), _unknown(action.folder_field, types)
    elif types[action.folder_field] not in _FOLDERS:
        yield ("file_action", "folder_field"), f"'{action.folder_field}' cannot name a folder"
