"""A batch of a watched folder becomes as many runs as it takes, none of them over its limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hivekeep.domain.runs import InputFile, TriggerKind
from hivekeep.recipes import builtin_recipes
from hivekeep.swarm.events import RunRequest
from hivekeep.swarm.ports import Limits
from hivekeep.swarm.requests import parted, require_within

RECIPES = tuple(builtin_recipes())


def request(recipe: str, documents: int) -> RunRequest:
    inputs = tuple(InputFile(f"/in/{n}.pdf", f"{n:064x}", n) for n in range(documents))
    plan = builtin_recipes()[recipe].compile()
    return RunRequest(plan, inputs, "", TriggerKind.WATCH, "/out", watch="w", batch="b")


@given(
    recipe=st.sampled_from(RECIPES),
    documents=st.integers(1, 300),
    steps=st.integers(100, 4_000),
)
def test_every_part_fits_and_nothing_is_left_out(recipe: str, documents: int, steps: int) -> None:
    whole, limits = request(recipe, documents), Limits(steps=steps)
    parts = parted(whole, limits)
    for part in parts:
        require_within(part, limits)
    assert tuple(source for part in parts for source in part.inputs) == whole.inputs
    assert len({part.batch for part in parts}) == len(parts)
    assert parts == parted(whole, limits)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_full_batch_of_any_built_in_recipe_is_accepted(recipe: str) -> None:
    for part in parted(request(recipe, 300), Limits()):
        require_within(part, Limits())


def test_what_fits_stays_one_run_under_its_own_name() -> None:
    whole = request("invoices", 300)
    assert parted(whole, Limits()) == [whole]
