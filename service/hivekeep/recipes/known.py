"""The fields that the built-in recipes describe, for those who ask without a recipe.

Responsible for choosing them; what they are called on paper stands in the recipes.
"""

from __future__ import annotations

from functools import cache

from hivekeep.domain.fields import FieldSpec, FieldType
from hivekeep.recipes.recipe import builtin_recipes

_FROM = ("invoices", "receipts", "contracts")


@cache
def known_fields() -> tuple[FieldSpec, ...]:
    """Single values with their labels, one of each name and type, no tables."""
    found: dict[tuple[str, FieldType], FieldSpec] = {}
    recipes = builtin_recipes()
    for name in _FROM:
        for spec in recipes[name].compile().fields:
            if spec.grounded and spec.type not in (FieldType.ROWS, FieldType.CHOICE):
                found.setdefault((spec.name, spec.type), spec)
    return tuple(found.values())
