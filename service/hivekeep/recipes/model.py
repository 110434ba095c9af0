"""What a recipe file may say.

Responsible for the shape of recipes, from which their JSON Schema is generated; whether the parts
fit together is checked by ``consistency``.  Invariant: an unknown key is an error.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from hivekeep.domain.fields import FieldType, FileActionKind, PlanKind

_TEXT_LIST: dict[str, Any] = {"type": "array", "items": {"type": "string"}}


def _flat(value: Any) -> Any:
    """Aliases may be grouped by language, which is for the reader's eye only."""
    if isinstance(value, dict) and all(isinstance(group, list) for group in value.values()):
        return tuple(alias for group in value.values() for alias in group)
    return tuple(value) if isinstance(value, list) else value


def _text(value: Any) -> Any:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number else value


Aliases = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=80)], ...],
    BeforeValidator(_flat),
    WithJsonSchema({"anyOf": [_TEXT_LIST, {"type": "object", "additionalProperties": _TEXT_LIST}]}),
]
NumberOrText = Annotated[
    str, BeforeValidator(_text), WithJsonSchema({"type": ["string", "number"]})
]
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ColumnModel(_Strict):
    """One column of a table."""

    name: Identifier = Field(description="Lower-case name, used as the column's heading in JSON.")
    type: FieldType = Field(default=FieldType.TEXT, description="What kind of value it is.")
    title: str = Field(default="", max_length=80, description="The heading shown to people.")
    description: str = Field(default="", max_length=300, description="Told to the model; be short.")
    aliases: Aliases = Field(
        default=(), description="Words that label the value in documents, in any language."
    )
    choices: tuple[Annotated[str, Field(min_length=1, max_length=60)], ...] = Field(
        default=(), max_length=50, description="The answers a 'choice' may have."
    )
    grounded: bool | None = Field(
        default=None,
        description="Whether the value has to be found in the document. By default it has to, "
        "except for 'prose', 'choice' and 'boolean'.",
    )
    max_length: int | None = Field(
        default=None, ge=1, le=4000, description="The longest answer, in characters."
    )


class FieldModel(ColumnModel):
    """One value to be found in each document."""

    required: bool = Field(default=False, description="Whether to ask again more readily.")
    columns: tuple[ColumnModel, ...] = Field(
        default=(), max_length=20, description="The columns of a table ('rows')."
    )
    max_rows: int = Field(default=60, ge=1, le=500, description="The most rows of a table.")


class SumModel(_Strict):
    """``terms`` added up have to give ``total``."""

    terms: tuple[str, ...] = Field(
        min_length=1, description="Fields, or 'table.column' for the sum of a column."
    )
    total: str = Field(description="The field that holds the sum.")
    tolerance: NumberOrText = Field(default="0.02", description="The difference that is allowed.")


class OrderModel(_Strict):
    """``earlier`` may not be after ``later``."""

    earlier: str = Field(description="A date or number.")
    later: str = Field(description="A date or number.")


class ChecksModel(_Strict):
    """What has to hold between values, where all of them are present."""

    sums: tuple[SumModel, ...] = Field(default=(), description="Sums that have to come out.")
    orders: tuple[OrderModel, ...] = Field(default=(), description="Orders that have to hold.")


class FileActionModel(_Strict):
    """What happens to the document itself afterwards; policy has to allow it too."""

    kind: FileActionKind = Field(description="'none', 'copy' or 'move'.")
    root: str = Field(default="", max_length=1000, description="The folder to put it under.")
    folder_field: str = Field(
        default="", description="The field whose value names the folder below 'root'."
    )


class BudgetModel(_Strict):
    """The most that may be used; what is left out is not bounded."""

    steps: int | None = Field(default=None, ge=1, description="Journaled steps.")
    tokens: int | None = Field(default=None, ge=1, description="Tokens sent and answered.")
    seconds: float | None = Field(default=None, gt=0, description="Seconds of work.")
    tool_calls: int | None = Field(default=None, ge=0, description="Calls of tools.")
    bytes_written: int | None = Field(default=None, ge=0, description="Bytes that tools write.")


class LimitsModel(_Strict):
    """How large a run of this recipe may be; never more than policy allows."""

    agents: int | None = Field(
        default=None, ge=1, le=300, description="The most sub-agents alive at the same time."
    )
    depth: int | None = Field(
        default=None, ge=1, le=5, description="How deep sub-agents may start others."
    )
    run: BudgetModel = Field(default=BudgetModel(), description="What the whole run may use.")
    agent: BudgetModel = Field(default=BudgetModel(), description="What one sub-agent may use.")


class VoteModel(_Strict):
    """Answer each question several times and take the majority."""

    samples: int = Field(default=3, ge=2, le=9, description="How many times.")
    temperature: float = Field(
        default=0.6, gt=0, le=2, description="How much the samples may differ."
    )


class SecondLookModel(_Strict):
    """Have stated values read once more, by another prompt or another model."""

    model: str = Field(default="", description="Another model's name, if not the same one.")
    instructions: str = Field(
        default="", max_length=2000, description="Told to it instead of the usual words."
    )


class TestModel(_Strict):
    """A document and what the recipe has to find in it."""

    file: str = Field(min_length=1, max_length=1000, description="Relative to the recipe's file.")
    expect: dict[str, Any] = Field(
        default_factory=dict, description="Fields with the values that have to be found."
    )


class ExampleModel(_Strict):
    """A piece of a document and the values in it, shown to the model before each document."""

    document: str = Field(
        min_length=1, max_length=1500, description="Text as it is printed; sent as data."
    )
    values: dict[str, str | int | bool | None] = Field(
        min_length=1, max_length=20, description="Fields with their values as printed, or null."
    )


class RecipeModel(_Strict):
    """A Hivekeep recipe: what to find in each document."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]{0,49}$", description="Lower-case letters, digits, hyphens."
    )
    title: str = Field(min_length=1, max_length=120, description="The name shown to people.")
    version: NumberOrText = Field(default="1", description="Change it when the meaning changes.")
    description: str = Field(default="", max_length=2000, description="For people; not sent.")
    kind: Literal[PlanKind.EXTRACT, PlanKind.SUMMARIZE] = Field(
        default=PlanKind.EXTRACT, description="'extract' values, or 'summarize' long documents."
    )
    instructions: str = Field(
        min_length=1, max_length=4000, description="Told to the model before each document."
    )
    fields: tuple[FieldModel, ...] = Field(
        min_length=1, max_length=60, description="The values to be found."
    )
    checks: ChecksModel = ChecksModel()
    model: str | None = Field(default=None, description="A model's name, if not the default one.")
    adapter: str | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="A LoRA adapter (GGUF) for the model, relative to the recipe's file.",
    )
    max_tokens: int = Field(default=900, ge=16, le=8000, description="The longest answer.")
    context_tokens: int = Field(default=6000, ge=512, le=30000, description="The longest prompt.")
    first_look_tokens: int = Field(
        default=6000,
        ge=512,
        le=30000,
        description="The longest prompt that asks for fields other than tables; a small one is "
        "faster, and suits documents whose values stand beside labels.",
    )
    labels_first: bool = Field(
        default=True,
        description="Whether fields that the document's own labels state beyond doubt are left out "
        "of the questions to the model.",
    )
    draft_model: str | None = Field(
        default=None,
        description="A smaller model that answers first; 'model' is asked for what does not check "
        "out.",
    )
    file_action: FileActionModel = FileActionModel(kind=FileActionKind.NONE)
    limits: LimitsModel = LimitsModel()
    vote: VoteModel | None = None
    second_look: SecondLookModel | None = None
    overview: bool = Field(
        default=False,
        description="Whether the prose of all documents is summed up, each sentence with sources.",
    )
    examples: tuple[ExampleModel, ...] = Field(
        default=(),
        max_length=6,
        description="Pieces of documents with the values in them, shown to the model first.",
    )
    test: tuple[TestModel, ...] = Field(
        default=(), max_length=100, description="Documents to test the recipe with."
    )


def recipe_schema() -> dict[str, Any]:
    """The JSON Schema of a recipe file, for editors."""
    schema = RecipeModel.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def recipe_schema_text() -> str:
    """The packaged ``schema.json`` as it has to be."""
    return json.dumps(recipe_schema(), indent=2, ensure_ascii=False) + "\n"
