"""Recipe files: what is valid, and how each mistake is reported."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from hivekeep.domain.errors import NotFoundError, RecipeError
from hivekeep.domain.fields import (
    FieldType,
    FileAction,
    FileActionKind,
    OrderCheck,
    PlanKind,
    SumCheck,
)
from hivekeep.recipes import Recipe, load_recipe

FULL = """\
name: bills
title: Bills
version: 2
kind: extract
instructions: You read bills.
model: some-model
max_tokens: 300
context_tokens: 3000
fields:
  - name: number
    type: identifier
    required: true
    max_length: 40
    aliases:
      en: [bill no]
      de: [Beleg-Nr]
  - name: issued
    type: date
    title: Issued on
  - name: due
    type: date
  - name: net
    type: amount
  - name: tax
    type: amount
  - name: total
    type: amount
    aliases: [total, Summe]
  - name: kind
    type: choice
    choices: [paper, online]
  - name: note
    type: prose
  - name: lines
    type: rows
    max_rows: 7
    columns:
      - name: what
      - name: amount
        type: amount
checks:
  sums:
    - terms: [net, tax]
      total: total
    - terms: [lines.amount]
      total: net
      tolerance: 1
  orders:
    - earlier: issued
      later: due
file_action:
  kind: copy
  root: /sorted
  folder_field: kind
test:
  - file: a.pdf
    expect: {number: "0012", issued: 2026-03-01, total: 12.50, note: null, lines: 3}
"""

Write = Callable[[str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(text: str | bytes) -> Path:
        path = tmp_path / "bills.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return to_file


def problems(path: Path) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert str(path) in caught.value.what
    why = caught.value.why
    assert why.startswith("bills.yaml, line ")
    assert "\n" not in why
    return why.removeprefix("bills.yaml, ").removesuffix(".").split("; ")


def small(extra: str = "", field: str = "  - name: total\n    type: amount") -> str:
    return f"name: bills\ntitle: Bills\ninstructions: Read.\nfields:\n{field}\n{extra}"


def test_everything_a_recipe_can_say_reaches_the_plan(write: Write) -> None:
    path = write(FULL)
    recipe = load_recipe(path)
    plan = recipe.compile()
    assert (recipe.name, recipe.title, recipe.version, recipe.builtin) == (
        "bills", "Bills", "2", False,
    )  # fmt: skip
    assert plan.recipe_hash == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (plan.kind, plan.model, plan.max_tokens, plan.context_tokens) == (
        PlanKind.EXTRACT, "some-model", 300, 3000,
    )  # fmt: skip
    by_name = {field.name: field for field in plan.fields}
    assert by_name["number"].aliases == ("bill no", "Beleg-Nr")
    assert by_name["number"].required
    assert by_name["number"].max_length == 40
    assert by_name["issued"].title == "Issued on"
    assert by_name["due"].title == "Due"
    assert by_name["lines"].max_rows == 7
    assert [c.type for c in by_name["lines"].columns] == [FieldType.TEXT, FieldType.AMOUNT]
    assert not by_name["note"].grounded
    assert not by_name["kind"].grounded
    assert by_name["total"].grounded
    assert plan.sums == (
        SumCheck(("net", "tax"), "total"),
        SumCheck(("lines.amount",), "net", "1"),
    )
    assert plan.orders == (OrderCheck("issued", "due"),)
    assert plan.file_action == FileAction(FileActionKind.COPY, "/sorted", "kind")


def test_expected_values_keep_their_spelling(write: Write) -> None:
    (case,) = load_recipe(write(FULL)).tests
    assert case.file == "a.pdf"
    assert case.expect == {
        "number": "0012", "issued": "2026-03-01", "total": "12.50", "note": None, "lines": 3,
    }  # fmt: skip


def test_a_minimal_recipe_uses_the_default_model_and_does_nothing_to_files(write: Write) -> None:
    plan = load_recipe(write(small())).compile()
    assert plan.model == "qwen2.5-coder-1.5b-instruct-q4_k_m"
    assert plan.file_action == FileAction()


def test_a_changed_file_is_a_different_recipe(write: Write) -> None:
    first = load_recipe(write(small())).compile().recipe_hash
    assert load_recipe(write(small() + "# a remark\n")).compile().recipe_hash != first


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (small("titel: x"), "line 7, column 1: titel: there is no key 'titel' here "
         "(did you mean 'title'?)"),
        (small(field="  - name: total\n    tpye: amount"), "line 6, column 5: fields[0].tpye: "
         "there is no key 'tpye' here (did you mean 'type'?)"),
        (small(field="  - name: total\n    type: amout"), "line 6, column 5: fields[0].type: "
         "'amout' is not one of"),
        (small(field="  - name: Total"), "line 5, column 5: fields[0].name: 'Total' may have only"),
        (small("title: again"), "line 7, column 1: the key 'title' stands there twice"),
        (small(field="  - name: a\n  - name: a"), "line 6, column 5: fields[1].name: the name 'a' "
         "is taken"),
        (small(field="  - name: a\n    type: choice"), "line 5, column 5: fields[0].choices: "),
        (small(field="  - name: a\n    type: rows"), "line 5, column 5: fields[0].columns: "),
        (small(field="  - name: a\n    choices: [x]"), "line 6, column 5: fields[0].choices: "),
        (small("checks:\n  sums:\n  - terms: [totl]\n    total: total"),
         "line 9, column 13: checks.sums[0].terms[0]: there is no field 'totl' "
         "(did you mean 'total'?)"),
        (small("checks:\n  sums:\n  - terms: [total]\n    total: total\n    tolerance: x"),
         "line 11, column 5: checks.sums[0].tolerance: a tolerance is a number"),
        (small("file_action: {kind: move, root: sorted, folder_field: total}"),
         "line 7, column 27: file_action.root: 'root' has to be an absolute path"),
        (small("file_action: {kind: move, root: /a/../b, folder_field: nix}"),
         "file_action.folder_field: there is no field 'nix'"),
        (small("test:\n  - file: a\n    expect: {totl: 1}"), "line 9, column 14: "
         "test[0].expect.totl: there is no field 'totl' (did you mean 'total'?)"),
        ("name: bills\ntitle: B\ninstructions: R\n", "line 1, column 1: fields: the key 'fields' "
         "is missing"),
        (small("max_tokens: lots"), "line 7, column 1: max_tokens: it should be a valid integer"),
        ("- a\n- b\n", "line 1, column 1: a recipe is a list of keys with values"),
        ("just words", "line 1, column 1: a recipe is"),
        ("", "line 1, column 1: the file is empty"),
        ("a: [1, 2\nb: 3", "line 2, column 2: "),
        ("a: 1\n  b: 2", "line 2, column 4: "),
        ("a: &x 1\nb: *x", "line 1, column 4: anchors"),
        ("a: 1\nb: *x", "line 2, column 4: aliases"),
        ("a: !!python/object/apply:os.system [ls]", "line 1, column 4: the tag"),
        ("a: !mine x", "line 1, column 4: the tag"),
        ("a: 1\n---\nb: 2", "line 2, column 1: only one document"),
        ("? [a, b]\n: c", "line 1, column 3: a key has to be a word"),
        ("a: \x07", "line 1, column 4: the character"),
        ("a: " + "[" * 50 + "]" * 50, "the nesting is too deep"),
        ("a: " + "[" * 100_000, "the nesting is too deep"),
        ("a: [" + "1," * 30_000 + "]", "there are too many values"),
        ("#" * 300_000, "the file is larger than 256 KiB"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_place(write: Write, text: str, expected: str) -> None:
    found = problems(write(text))
    assert any(expected in line for line in found), found
    assert all(line.startswith("line ") for line in found)


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(write: Write) -> None:
    found = problems(write(FULL.replace("type: amount", "type: amuont").replace("title:", "titl:")))
    lines = [int(line.split("line ")[1].split(",")[0]) for line in found]
    assert len(lines) > 5
    assert lines == sorted(lines)


def test_many_mistakes_are_cut_short(write: Write) -> None:
    found = "\n".join(f"  - name: F{number}" for number in range(40))
    with pytest.raises(RecipeError, match="and 28 more"):
        load_recipe(write(small(field=found)))


def test_bytes_that_are_not_text(write: Write) -> None:
    assert problems(write(b"name: a\ntitle: \xff")) == ["line 2, column 1: the text is not UTF-8"]


def test_a_byte_order_mark_is_no_mistake(write: Write) -> None:
    assert isinstance(load_recipe(write(b"\xef\xbb\xbf" + small().encode())), Recipe)


def test_norway_is_a_word(write: Write) -> None:
    text = small(field="  - name: country\n    type: choice\n    choices: [no, yes, on]")
    assert load_recipe(write(text)).compile().fields[0].choices == ("no", "yes", "on")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "no.yaml", tmp_path, Path("nul\0.yaml")):
        with pytest.raises((NotFoundError, RecipeError)):
            load_recipe(path)
