"""Finding recipes, the built-in ones, the starter, and comparing with expectations."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from hivekeep.domain.errors import NotFoundError, RecipeError
from hivekeep.domain.fields import FieldType, FileActionKind, PlanKind
from hivekeep.domain.values import DocumentResult, FieldValue, RowsValue, ValueStatus
from hivekeep.recipes import (
    builtin_recipes,
    compare,
    find_recipe,
    load_recipe,
    new_recipe_text,
    recipe_schema_text,
)

ROOT = Path(__file__).resolve().parents[2]
GROUNDED = ValueStatus.GROUNDED


def test_the_five_built_in_recipes() -> None:
    found = builtin_recipes()
    assert sorted(found) == ["contracts", "invoices", "receipts", "summary", "triage"]
    for name, recipe in found.items():
        plan = recipe.compile()
        assert recipe.builtin
        assert plan.recipe == name
        assert plan.file_action.kind is FileActionKind.NONE
    fields = {name: [f.name for f in r.compile().fields] for name, r in found.items()}
    assert fields["invoices"] == [
        "number", "issue_date", "due_date", "seller", "buyer", "currency", "net", "tax", "total",
        "lines",
    ]  # fmt: skip
    assert fields["contracts"] == [
        "title", "effective_date", "end_date", "term", "governing_law", "notice_period",
        "liability_cap", "parties",
    ]  # fmt: skip
    assert found["summary"].compile().kind is PlanKind.SUMMARIZE
    assert found["triage"].compile().fields[-1].grounded is False
    (check,) = found["invoices"].compile().sums
    assert (check.terms, check.total) == (("net", "tax"), "total")


def test_no_label_announces_two_scalar_fields_of_one_recipe_in_the_same_words() -> None:
    # An amount could otherwise be taken for another amount, a date for another date.
    for recipe in builtin_recipes().values():
        seen: dict[tuple[FieldType, str], str] = {}
        for field in recipe.compile().fields:
            for alias in {alias.casefold() for alias in field.aliases}:
                other = seen.setdefault((field.type, alias), field.name)
                assert other == field.name, (recipe.name, alias)


def test_a_recipe_is_found_by_path_by_own_name_and_by_built_in_name(tmp_path: Path) -> None:
    own = tmp_path / "recipes"
    own.mkdir()
    (own / "notes.yaml").write_text(new_recipe_text("notes", "Notes"))
    (own / "second.yml").write_text(new_recipe_text("declared-name", "Other"))
    (own / "broken.yaml").write_text("{")
    assert find_recipe("notes", own).path == own / "notes.yaml"
    assert find_recipe("declared-name", own).path == own / "second.yml"
    assert find_recipe(str(own / "second.yml"), tmp_path / "none").name == "declared-name"
    assert find_recipe("invoices", own).builtin
    assert find_recipe("invoices", tmp_path / "none").builtin
    with pytest.raises(RecipeError):
        find_recipe("broken", own)


def test_a_users_recipe_hides_a_built_in_one_and_is_not_built_in(tmp_path: Path) -> None:
    (tmp_path / "invoices.yaml").write_text(new_recipe_text("invoices", "Mine"))
    found = find_recipe("invoices", tmp_path)
    assert (found.title, found.builtin) == ("Mine", False)


@pytest.mark.parametrize("name", ["invoice", "../invoices", "", "a b", "/etc/passwd", "x.yaml"])
def test_an_unknown_recipe_is_answered_with_help(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        find_recipe(name, tmp_path)
    assert caught.value.next_step
    if name == "invoice":
        assert "invoices" in caught.value.why


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("delivery-notes", "Delivery notes"),
        ("My Recipe!", 'He said: "hi" # {x} \\ \n'),
        ("", "\0\x7f"),
        ("übung", "送货单 🚚"),
        ("-" * 80, "x" * 500),
        ("a" * 49 + "-b", ""),
    ],
)
def test_the_starter_is_valid_whatever_it_is_called(tmp_path: Path, name: str, title: str) -> None:
    path = tmp_path / "new.yaml"
    path.write_text(new_recipe_text(name, title), encoding="utf-8")
    assert load_recipe(path).compile().fields[0].required


def test_the_starters_comments_are_valid_when_uncommented(tmp_path: Path) -> None:
    text = new_recipe_text("notes", "Notes")
    head, _, tail = text.partition("# test:")
    path = tmp_path / "new.yaml"
    path.write_text(head + "test:" + tail.replace("\n# ", "\n"), encoding="utf-8")
    (case,) = load_recipe(path).tests
    assert case.expect["items"] == 3


def test_the_packaged_schema_is_up_to_date() -> None:
    packaged = resources.files("hivekeep.recipes").joinpath("schema.json")
    assert packaged.read_text(encoding="utf-8") == recipe_schema_text()


def test_every_key_and_type_is_documented() -> None:
    text = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    schema = json.loads(recipe_schema_text())
    keys = {key for part in schema["$defs"].values() for key in part.get("properties", {})}
    missing = {key for key in {*keys, *schema["properties"], *FieldType} if f"`{key}`" not in text}
    assert not missing


def test_the_recipe_in_the_documentation_is_valid(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    blocks = [part.partition("```")[0] for part in text.split("```yaml\n")[1:]]
    complete = [block for block in blocks if block.startswith("name:")]
    assert complete
    for block in complete:
        path = tmp_path / "doc.yaml"
        path.write_text(block, encoding="utf-8")
        load_recipe(path).compile()


def result(**values: Any) -> DocumentResult:
    return DocumentResult(
        tuple(FieldValue(name, value, GROUNDED) for name, value in values.items())
    )


@pytest.mark.parametrize(
    ("expected", "got", "same"),
    [
        ("12.50", "12.5", True),
        (12, "12.00", True),
        ("12.50", "12.51", False),
        ("0012", "12", False),
        ("0012", "0012", True),
        ("ACME  GmbH", "Acme GmbH", True),
        ("Acme", "Acme Ltd", False),
        (None, None, True),
        (None, "x", False),
        ("x", None, False),
        (True, True, True),
        (True, "true", False),
        (1, True, False),
        ("2026-03-01", "2026-03-01", True),
        ("NaN", "nan", True),
    ],
)
def test_values_are_compared_by_what_they_mean(expected: Any, got: Any, same: bool) -> None:
    found = compare(result(a=got), {"a": expected})
    assert (found == []) is same
    assert same or (found[0].field, found[0].expected, found[0].got) == ("a", expected, got)


def test_rows_are_compared_by_number_or_cell_by_cell() -> None:
    rows = tuple(
        (FieldValue("what", what, GROUNDED), FieldValue("amount", amount, GROUNDED))
        for what, amount in (("Tea", "3.00"), ("Milk", "1.20"))
    )
    document = DocumentResult((RowsValue("lines", rows, GROUNDED),))
    assert compare(document, {"lines": 2}) == []
    assert compare(document, {"lines": [{"what": "tea"}, {"amount": "1.2"}]}) == []
    assert [m.field for m in compare(document, {"lines": 3})] == ["lines (rows)"]
    assert [m.field for m in compare(document, {"lines": None})] == ["lines (rows)"]
    found = compare(document, {"lines": [{"what": "Coffee", "nothing": "x"}]})
    assert [m.field for m in found] == ["lines (rows)", "lines[1].what", "lines[1].nothing"]
    assert [m.field for m in compare(document, {"lines": ["Tea", 3]})] == ["lines[1]", "lines[2]"]
    assert [m.field for m in compare(document, {"lines": "many"})] == ["lines (rows)"]


def test_what_the_test_does_not_name_is_not_judged_and_what_is_missing_is() -> None:
    assert compare(result(a="x", b="y"), {"a": "x"}) == []
    assert [m.field for m in compare(result(a="x"), {"c": "x"})] == ["c"]
    assert compare(result(a="x"), {"c": None}) != []


def test_an_adapter_is_found_beside_its_recipe_or_missed_at_once(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        "name: mine\ntitle: Mine\ninstructions: Find the date.\nadapter: style.gguf\n"
        "fields:\n  - name: date\n    type: date\n"
    )
    with pytest.raises(RecipeError, match="adapter"):
        load_recipe(recipe).compile()
    (tmp_path / "style.gguf").write_bytes(b"GGUF")
    assert load_recipe(recipe).compile().adapter == str(tmp_path.resolve() / "style.gguf")
