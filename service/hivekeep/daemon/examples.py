"""A person's corrections as examples in a recipe: offered, shown, and kept if the person says so.

Responsible for the two verbs and their routes; what an example is made of is ``swarm.examples``'s,
how it is written ``recipes.editing``'s.  Invariant: nothing is kept that was not asked for with the
very text that was shown, and a recipe that ships with Hivekeep is copied, never changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from hivekeep.daemon.desktop import Desktop
from hivekeep.daemon.routing import Body, Routes
from hivekeep.domain.errors import NotFoundError, RecipeError, UsageError
from hivekeep.domain.fields import PlanKind
from hivekeep.domain.saying import say
from hivekeep.recipes.editing import example_lines, with_example
from hivekeep.swarm.examples import propose


class ExampleBody(Body):
    """An example as it was shown; with ``save`` it is kept."""

    document: str = Field(min_length=1, max_length=1500)
    values: dict[str, str | int | bool | None] = Field(min_length=1, max_length=20)
    save: bool = False


@dataclass(frozen=True, slots=True)
class Examples:
    """The verbs."""

    desktop: Desktop

    def offer(self, run: str, agent: str, field: str) -> dict[str, Any]:
        """An example out of the newest correction of ``field``, and the recipe it is for.

        :raises NotFoundError: if there is no such correction, or the recipe is not here.
        :raises UsageError: if no example can be made of it.
        """
        record, source = self.desktop.find_agent(run, agent)
        plan = record.request.plan
        if plan.kind is PlanKind.ASK:
            raise UsageError(
                say(
                    "error.no_own_recipe",
                    "A free request has no recipe that an example could go into.",
                )
            )
        made = [
            correction
            for correction in self.desktop.corrections.of(record.id)
            if (correction.agent, correction.field) == (source.id, field) and correction.row is None
        ]
        if not made:
            raise NotFoundError(
                say("error.not_corrected", "'{field}' was not corrected.", field=field),
                next_step=say("next.correct_first", "Correct it first."),
            )
        document = self.desktop.document_of(source)
        found = propose(plan, document, source.result, field, made[-1].after) if document else None
        if found is None:
            raise UsageError(
                say("error.no_example_of", "No example can be made of this correction."),
                why="The document's text is not at hand, or the field is a table.",
            )
        recipe = self.desktop.recipe_text(plan.recipe)
        return {
            "recipe": recipe["name"],
            "title": recipe["title"],
            "builtin": recipe["builtin"],
            "document": found.document,
            "values": {field: found.value},
            "printed": found.printed,
        }

    async def add(self, name: str, body: ExampleBody) -> dict[str, Any]:
        """A recipe with one more example; kept if ``save`` says so, else only shown.

        :raises RecipeError: if it would be wrong with it.
        """
        recipe = self.desktop.recipe_text(name)
        text = with_example(recipe["text"], body.document, body.values)
        checked = await self.desktop.validate_recipe(text)
        if not checked["ok"]:
            raise RecipeError(
                say("error.recipe_with", "The recipe would be wrong with it."),
                why=checked["problem"],
            )
        if body.save:
            await self.desktop.save_recipe(text)
        return {
            "recipe": name,
            "copied": recipe["builtin"],
            "saved": body.save,
            "lines": example_lines(body.document, body.values),
            "text": text,
        }


def add_example_routes(routes: Routes, examples: Examples) -> None:
    """Add the routes."""

    @routes.get("/v1/runs/{run}/agents/{agent}/example")
    async def offer_example(
        run: str, agent: str, field: Annotated[str, Field(min_length=1, max_length=200)]
    ) -> dict[str, Any]:
        return examples.offer(run, agent, field)

    @routes.post("/v1/recipes/{name}/examples")
    async def add_example(name: str, body: ExampleBody) -> dict[str, Any]:
        return await examples.add(name, body)
