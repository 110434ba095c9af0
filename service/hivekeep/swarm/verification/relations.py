"""Checks that hold between values: sums and orders.

Responsible for recomputing what a recipe says must agree, and for deriving one missing term; not
for finding values.  Invariant: a derived value rests on grounded values only.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, InvalidOperation

from hivekeep.domain.fields import FieldType, OrderCheck, Plan, SumCheck
from hivekeep.domain.values import CheckedValue, DocumentResult, FieldValue, RowsValue, ValueStatus
from hivekeep.swarm.verification.amounts import canonical
from hivekeep.swarm.verification.mentions import Context

_MOST_CANDIDATES = 12
_SURE = (ValueStatus.GROUNDED, ValueStatus.DERIVED)


def check_relations(
    plan: Plan, context: Context, values: tuple[CheckedValue, ...]
) -> DocumentResult:
    """The result with sums and orders checked, one missing term derived, doubts named."""
    by_name = {value.name: value for value in values}
    problems: list[str] = []
    for total in plan.sums:
        _reconcile(plan, context, total, by_name)
        _derive(total, by_name)
        problem = _sum_problem(total, by_name)
        if problem:
            problems.append(problem)
            _blame(plan, context, total, by_name, problem)
        elif problem is not None:
            _confirm(total, by_name)
    for order in plan.orders:
        problem = _order_problem(order, by_name)
        if problem:
            problems.append(problem)
    return DocumentResult(tuple(by_name[value.name] for value in values), tuple(problems))


def in_broken_sums(plan: Plan, result: DocumentResult) -> frozenset[str]:
    """The fields of sums that do not come out."""
    by_name = {value.name: value for value in result.values}
    return frozenset(
        name
        for total in plan.sums
        if _sum_problem(total, by_name)
        for name in (*total.terms, total.total)
    )


def _sum_problem(check: SumCheck, values: dict[str, CheckedValue]) -> str | None:
    """A sentence if the sum is wrong, nothing if it is right, ``None`` if it cannot be checked."""
    terms = [_number(values, name) for name in check.terms]
    total = _number(values, check.total)
    if total is None or not terms or any(term is None for term in terms):
        return None
    added = sum((term for term in terms if term is not None), Decimal(0))
    if abs(added - total) <= Decimal(check.tolerance):
        return ""
    named = " + ".join(check.terms)
    return f"{named} is {canonical(added)}, but {check.total} is {canonical(total)}."


def _reconcile(
    plan: Plan, context: Context, check: SumCheck, values: dict[str, CheckedValue]
) -> None:
    """Where a sum is wrong or a term is missing, take the labelled terms that do add up.

    A table of taxes labels several amounts as tax or net; with the total known, one pair fits.
    """
    specs = {spec.name: spec for spec in plan.fields}
    total = values.get(check.total)
    terms = [specs.get(name) for name in check.terms]
    if (
        not isinstance(total, FieldValue) or total.status not in _SURE or len(terms) != 2
        or any(spec is None or spec.type is not FieldType.AMOUNT for spec in terms)
        or _sum_problem(check, values) == ""
    ):  # fmt: skip
        return
    goal, slack = Decimal(str(total.value)), Decimal(check.tolerance)
    one, two = (
        [value for value in context.candidates(spec) if _decimal(value) is not None]
        for spec in terms if spec is not None
    )  # fmt: skip
    pairs = {
        (left, right)
        for left in one[:_MOST_CANDIDATES]
        for right in two[:_MOST_CANDIDATES]
        if abs(Decimal(str(left)) + Decimal(str(right)) - goal) <= slack
        and abs(Decimal(str(left))) >= abs(Decimal(str(right)))
    }
    if len(pairs) != 1:
        return
    for spec, value in zip(terms, pairs.pop(), strict=True):
        old = values.get(spec.name) if spec else None
        if spec is None or (isinstance(old, FieldValue) and old.value == value):
            continue
        evidence = tuple(
            item
            for place in context.places(spec, value)[:1]
            for item in context.layout.evidence(place)
        )
        values[spec.name] = FieldValue(
            spec.name, value, ValueStatus.GROUNDED, evidence,
            f"Read beside its label; {' + '.join(check.terms)} then give {check.total}.",
        )  # fmt: skip


def _derive(check: SumCheck, values: dict[str, CheckedValue]) -> None:
    """Compute the one scalar that is missing, if everything else is sure."""
    names = [*check.terms, check.total]
    scalars = [values.get(name) for name in names]
    missing = [
        value for value in scalars
        if isinstance(value, FieldValue) and value.status is ValueStatus.ABSENT
    ]  # fmt: skip
    known = [value for value in scalars if isinstance(value, FieldValue) and value.status in _SURE]
    if len(missing) != 1 or len(known) != len(names) - 1:
        return
    numbers = {value.name: Decimal(str(value.value)) for value in known}
    if missing[0].name == check.total:
        result = sum(numbers.values(), Decimal(0))
        how = " + ".join(check.terms)
    else:
        rest = [name for name in check.terms if name != missing[0].name]
        result = numbers[check.total] - sum((numbers[name] for name in rest), Decimal(0))
        how = " - ".join([check.total, *rest])
    if result < 0 <= numbers.get(check.total, Decimal(0)):
        return
    evidence = tuple(item for value in known for item in value.evidence[:1])
    values[missing[0].name] = FieldValue(
        missing[0].name, canonical(result), ValueStatus.DERIVED, evidence, f"Computed as {how}."
    )


def _confirm(check: SumCheck, values: dict[str, CheckedValue]) -> None:
    """A sum that comes out confirms printed terms whose labels alone left a doubt."""
    for name in (*check.terms, check.total):
        value = values.get(name)
        doubtful = isinstance(value, FieldValue) and value.status is ValueStatus.NEEDS_REVIEW
        if doubtful and isinstance(value, FieldValue) and value.evidence:
            values[name] = replace(value, status=ValueStatus.GROUNDED, reason="")


def _blame(
    plan: Plan, context: Context, check: SumCheck, values: dict[str, CheckedValue], problem: str
) -> None:
    """Mark the terms of a wrong sum whose own label does not vouch for them."""
    for spec in plan.fields:
        value = values.get(spec.name)
        if spec.name not in (*check.terms, check.total) or not isinstance(value, FieldValue):
            continue
        if value.status is not ValueStatus.GROUNDED or spec.type is not FieldType.AMOUNT:
            continue
        vouched = context.candidates(spec)
        first = next(iter(vouched), None)
        if first != value.value:
            values[spec.name] = replace(value, status=ValueStatus.NEEDS_REVIEW, reason=problem)


def _order_problem(check: OrderCheck, values: dict[str, CheckedValue]) -> str:
    earlier, later = values.get(check.earlier), values.get(check.later)
    if not isinstance(earlier, FieldValue) or not isinstance(later, FieldValue):
        return ""
    if earlier.status not in _SURE or later.status not in _SURE:
        return ""
    one, two = earlier.value, later.value
    first, second = _decimal(one), _decimal(two)
    wrong = first > second if first is not None and second is not None else str(one) > str(two)
    return f"{check.earlier} ({one}) is after {check.later} ({two})." if wrong else ""


def _number(values: dict[str, CheckedValue], name: str) -> Decimal | None:
    rows, _, column = name.partition(".")
    value = values.get(rows)
    if isinstance(value, RowsValue) and column:
        cells = [cell for row in value.rows for cell in row if cell.name == column]
        numbers = [_decimal(cell.value) for cell in cells]
        if not numbers or any(number is None for number in numbers):
            return None
        return sum((number for number in numbers if number is not None), Decimal(0))
    if isinstance(value, FieldValue) and value.value is not None:
        return _decimal(value.value)
    return None


def _decimal(value: object) -> Decimal | None:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None
