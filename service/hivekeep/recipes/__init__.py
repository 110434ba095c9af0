"""Recipes: what to find in a document, written as YAML and compiled into plans.

Responsible for reading, checking and finding them; the swarm works from the plan alone.
"""

from hivekeep.recipes.comparing import Mismatch, compare
from hivekeep.recipes.known import known_fields
from hivekeep.recipes.model import recipe_schema, recipe_schema_text
from hivekeep.recipes.recipe import (
    Recipe,
    RecipeTest,
    builtin_recipes,
    find_recipe,
    load_recipe,
)
from hivekeep.recipes.starter import new_recipe_text

__all__ = [
    "Mismatch",
    "Recipe",
    "RecipeTest",
    "builtin_recipes",
    "compare",
    "find_recipe",
    "known_fields",
    "load_recipe",
    "new_recipe_text",
    "recipe_schema",
    "recipe_schema_text",
]
