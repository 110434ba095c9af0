"""What was read off documents, as a table: chosen rows, their order, and figures over them.

Responsible for the computing; it is pure and needs no model.  Invariant: a document that cannot be
judged stands in the table, marked for review, and amounts of different currencies are never added.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import PurePath

from hivekeep.domain.fields import FieldSpec, FieldType
from hivekeep.domain.tasks import Comparison, Condition, Figure, Take, TaskSpec, number_of
from hivekeep.domain.values import CheckedValue, DocumentResult, FieldValue, RowsValue, ValueStatus

FILE = "file"
_MOST_NAMED = 12
_FILE_SPEC = FieldSpec(FILE, FieldType.TEXT, "File", "path of the document", grounded=False)


@dataclass(frozen=True, slots=True)
class Row:
    """One document and what was read off it."""

    path: str
    values: Mapping[str, CheckedValue]

    def get(self, name: str) -> FieldValue | None:
        """The single value called ``name`` that the document states."""
        found = self.values.get(name)
        return found if isinstance(found, FieldValue) and found.value is not None else None


def table_spec(task: TaskSpec, columns: Sequence[FieldSpec]) -> FieldSpec:
    """The table that ``table`` gives, as a field: the file first, then the columns."""
    shown = tuple(spec for spec in columns if spec.type is not FieldType.ROWS)
    return FieldSpec(task.id, FieldType.ROWS, task.goal, columns=(_FILE_SPEC, *shown))


def table(task: TaskSpec, columns: Sequence[FieldSpec], rows: Iterable[Row]) -> DocumentResult:
    """The rows of ``task``, its figures, and which documents could not be judged.

    Those follow the rows that were chosen, with the missing values marked; no figure counts them.
    """
    kept: list[Row] = []
    unknown: list[Row] = []
    doubtful: list[str] = []
    for row in rows:
        verdicts = {c.field: _passes(c, row.get(c.field)) for c in task.where}
        open_ = [field for field, passed in verdicts.items() if passed is None]
        if False in verdicts.values():
            if _in_doubt(task, row):
                doubtful.append(_name(row))
        elif open_:
            unknown.append(_marked(row, open_))
        else:
            kept.append(row)
    if task.sort:
        kept = _sorted(kept, task.sort)
    figures = [value for figure in task.figures for value in _figure(figure, kept, columns)]
    # Figures are over all rows that were chosen, however many of them are shown.
    shown = [*(kept[: task.most] if task.most else kept), *unknown]
    names = [spec.name for spec in table_spec(task, columns).columns[1:]]
    cells = tuple((file_cell(row.path), *(_cell(row, name) for name in names)) for row in shown)
    values: tuple[CheckedValue, ...] = (rows_value(task.id, cells), *figures)
    return DocumentResult(values, tuple(_problems([_name(row) for row in unknown], doubtful)))


def rows_value(name: str, cells: tuple[tuple[FieldValue, ...], ...]) -> RowsValue:
    """Rows as a value; in doubt as soon as one cell is."""
    doubtful = sum(any(cell.status is ValueStatus.NEEDS_REVIEW for cell in row) for row in cells)
    if doubtful:
        reason = f"{doubtful} of {len(cells)} rows hold a value to review."
        return RowsValue(name, cells, ValueStatus.NEEDS_REVIEW, reason)
    return RowsValue(name, cells, ValueStatus.DERIVED)


def file_cell(path: str) -> FieldValue:
    """The cell that names a row's document."""
    return FieldValue(FILE, path, ValueStatus.JUDGED)


def _cell(row: Row, name: str) -> FieldValue:
    value = row.values.get(name)
    return value if isinstance(value, FieldValue) else FieldValue(name, None, ValueStatus.ABSENT)


def _passes(condition: Condition, value: FieldValue | None) -> bool | None:
    """Whether a value passes; ``None`` if that cannot be said."""
    if value is None:
        return None
    wanted, found = condition.value, value.value
    numbers = number_of(found), number_of(wanted)
    match condition.is_:
        case Comparison.CONTAINS:
            return _plain(wanted) in _plain(found)
        case Comparison.EQUAL:
            if None not in numbers:
                return numbers[0] == numbers[1]
            return _plain(wanted) == _plain(found)
        case Comparison.BEFORE:
            return str(found) < wanted
        case Comparison.AFTER:
            return str(found) > wanted
    one, two = numbers
    if one is None or two is None:
        return None
    match condition.is_:
        case Comparison.OVER:
            return one > two
        case Comparison.AT_LEAST:
            return one >= two
        case Comparison.UNDER:
            return one < two
        case _:
            return one <= two


def _marked(row: Row, fields: Sequence[str]) -> Row:
    """``row`` with the values that would have decided marked for a person."""
    reason = "It is not stated, so nobody knows whether this row belongs here."
    marked = {
        field: FieldValue(field, None, ValueStatus.NEEDS_REVIEW, reason=reason) for field in fields
    }
    return Row(row.path, {**row.values, **marked})


def _in_doubt(task: TaskSpec, row: Row) -> bool:
    values = (row.get(condition.field) for condition in task.where)
    return any(value and value.status is ValueStatus.NEEDS_REVIEW for value in values)


def _sorted(rows: Sequence[Row], sort: str) -> list[Row]:
    """Rows by a field, those that do not state it last."""
    name = sort.removeprefix("-")
    stated = [row for row in rows if row.get(name) is not None]
    stated.sort(key=lambda row: _key(row.get(name)), reverse=sort.startswith("-"))
    return [*stated, *(row for row in rows if row.get(name) is None)]


def _key(value: FieldValue | None) -> tuple[int, Decimal, str]:
    return _order(value.value if value else None)


def _order(found: object) -> tuple[int, Decimal, str]:
    number = number_of(found)
    return (1, Decimal(0), str(found).casefold()) if number is None else (0, number, "")


def _figure(figure: Figure, rows: Sequence[Row], columns: Sequence[FieldSpec]) -> list[FieldValue]:
    name = f"{figure.take.value}_{figure.field}"
    if figure.take is Take.COUNT:
        count = sum(row.get(figure.field) is not None for row in rows)
        return [FieldValue(name, count, ValueStatus.DERIVED, reason=f"of {len(rows)} rows")]
    spec = next(spec for spec in columns if spec.name == figure.field)
    sure, left_out = _confirmed(figure.field, rows)
    if not sure:
        return [FieldValue(name, None, ValueStatus.ABSENT, reason="No value is confirmed.")]
    by_currency: dict[str, list[Row]] = {}
    money = next((c.name for c in columns if c.type is FieldType.CURRENCY), "")
    for row in sure:
        stated = row.get(money) if spec.type is FieldType.AMOUNT and money else None
        by_currency.setdefault(str(stated.value) if stated else "", []).append(row)
    found = []
    for code, group in by_currency.items():
        ending = f"_{code.lower() or 'unknown_currency'}" if len(by_currency) > 1 else ""
        value, reason = _computed(figure, group)
        reason = ". ".join(part for part in (f"{code} {reason}".strip(), left_out) if part)
        found.append(FieldValue(f"{name}{ending}", value, ValueStatus.DERIVED, reason=reason))
    return found


def _confirmed(field: str, rows: Sequence[Row]) -> tuple[list[Row], str]:
    """The rows whose value is confirmed, and in words those that are left out."""
    sure = [
        row for row in rows
        if (value := row.get(field)) and value.status is not ValueStatus.NEEDS_REVIEW
    ]  # fmt: skip
    others = [_name(row) for row in rows if row not in sure]
    return sure, f"left out, not confirmed: {_listed(others)}" if others else ""


def _computed(figure: Figure, rows: Sequence[Row]) -> tuple[str, str]:
    cells = [(cell.value, _name(row)) for row in rows if (cell := row.get(figure.field))]
    if figure.take in (Take.MIN, Take.MAX):
        choose = min if figure.take is Take.MIN else max
        value, name = choose(cells, key=lambda cell: _order(cell[0]))
        return str(value), f"in {name}"
    numbers = [number for value, _ in cells if (number := number_of(value)) is not None]
    total = sum(numbers, Decimal(0))
    if figure.take is Take.SUM:
        return f"{total:f}", f"over {len(numbers)} documents"
    mean = (total / len(numbers)).quantize(Decimal("0.01"))
    return f"{mean:f}", f"over {len(numbers)} documents"


def _problems(unknown: Sequence[str], doubtful: Sequence[str]) -> Iterable[str]:
    if unknown:
        yield f"A value that decides is missing, so please judge: {_listed(unknown)}."
    if doubtful:
        yield f"Left out by a value that is not confirmed: {_listed(doubtful)}."


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _name(row: Row) -> str:
    return PurePath(row.path).name


def _plain(value: object) -> str:
    return " ".join(str(value).casefold().split())
