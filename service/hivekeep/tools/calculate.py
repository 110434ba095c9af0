"""Arithmetic that a language model must not do in its head.

Responsible for one expression at a time, in decimals, so that money comes out exactly.  Invariant:
an expression is parsed and walked, never evaluated as code, and its cost is bounded.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from decimal import Context, Decimal, DecimalException, getcontext, localcontext
from typing import Annotated, Any

from pydantic import Field

from hivekeep.domain.actions import Label
from hivekeep.domain.errors import ToolError
from hivekeep.tools.context import ToolContext
from hivekeep.tools.spec import Arguments, EffectClass, Happened, ToolResult, ToolSpec

_MOST_NODES = 400
_BINARY: dict[type[ast.operator], Callable[[Decimal, Decimal], Decimal]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}
_FUNCTIONS: dict[str, Callable[[list[Decimal]], Decimal]] = {
    "sum": lambda values: sum(values, Decimal(0)),
    "min": min,
    "max": max,
    "average": lambda values: sum(values, Decimal(0)) / len(values),
    "count": lambda values: Decimal(len(values)),
    "abs": lambda values: abs(values[0]),
    "round": lambda values: (
        values[0].quantize(Decimal(1).scaleb(-int(values[1])))
        if len(values) > 1
        else values[0].quantize(Decimal(1))
    ),
}


class CalculateArguments(Arguments):
    """What to compute."""

    expression: Annotated[str, Field(min_length=1, max_length=2000)]


class Calculate:
    """``calculate``: + - * / %, brackets, sum, min, max, average, count, abs, round."""

    spec = ToolSpec(
        name="calculate",
        description="computes an expression, for example sum(1200.50, 99) or round(10/3, 2)",
        arguments=CalculateArguments,
        effect=EffectClass.READ,
        returns=Label.TRUSTED,
    )

    async def prepare(
        self,
        arguments: CalculateArguments,
        context: ToolContext,  # noqa: ARG002
    ) -> dict[str, Any]:
        """The expression itself."""
        return {"expression": arguments.expression}

    async def perform(self, prepared: dict[str, Any], context: ToolContext) -> ToolResult:
        """The value, with what the agent has seen as its origin: that chose the numbers."""
        value = calculate(prepared["expression"])
        return ToolResult({"value": value}, value, context.provenance)

    async def happened(self, prepared: dict[str, Any], context: ToolContext) -> Happened:  # noqa: ARG002
        """Nothing outside changes, so it may be done again."""
        return Happened.NO


def calculate(expression: str) -> str:
    """The value of an arithmetic expression as a decimal string without an exponent.

    :raises ToolError: if it is not one, or has no finite value.
    """
    try:
        tree = ast.parse(expression.strip(), mode="eval")
        if sum(1 for _ in ast.walk(tree)) > _MOST_NODES:
            raise ToolError("The expression is too long.")
        with localcontext(Context(prec=34, Emax=400, Emin=-400)):
            return _shown(_value(tree.body, expression.strip()))
    except (
        SyntaxError,
        DecimalException,
        ValueError,
        IndexError,
        RecursionError,
        MemoryError,
    ) as error:
        raise ToolError(
            "The expression has no value.",
            why=f"{type(error).__name__}.",
            next_step="Use numbers with a point, + - * / %, brackets, sum, min, max, average.",
        ) from error


def _value(node: ast.expr, text: str) -> Decimal:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            # The literal's own digits: 0.1 is a tenth here, and 12.50 keeps its zero.
            digits = ast.get_source_segment(text, node) or str(number)
            return getcontext().create_decimal(digits.replace("_", ""))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, text)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand, text)
        case ast.BinOp(left=left, op=kind, right=right) if type(kind) in _BINARY:
            return _BINARY[type(kind)](_value(left, text), _value(right, text))
        case ast.Call(func=ast.Name(id=name), args=[*arguments], keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](_values(arguments, text))
        case _:
            raise ToolError(
                "The expression holds something that is not arithmetic.",
                why=f"{ast.unparse(node)[:80]}",
            )


def _values(arguments: list[ast.expr], text: str) -> list[Decimal]:
    values: list[Decimal] = []
    for argument in arguments:
        if isinstance(argument, ast.List | ast.Tuple):
            values += [_value(item, text) for item in argument.elts]
        else:
            values.append(_value(argument, text))
    if not values:
        raise ToolError("A function needs at least one number.")
    return values


def _shown(value: Decimal) -> str:
    if not value.is_finite():
        raise ToolError("The expression has no finite value.")
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text and len(text) > 30 else text
