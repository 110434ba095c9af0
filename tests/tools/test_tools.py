"""What each tool takes, does and hands back, and what it refuses."""

# ruff: noqa: ASYNC240 - a test may block

from __future__ import annotations

import json
import string
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook

from hivekeep.domain.actions import Action, ActionKind, Label
from hivekeep.domain.documents import Block, Document
from hivekeep.domain.errors import HivekeepError, PolicyDeniedError, StorageError, ToolError
from hivekeep.domain.grants import Grant
from hivekeep.domain.provenance import Origin, OriginKind, Provenance, of
from hivekeep.domain.runs import InputFile
from hivekeep.tools import Happened, ToolContext, ToolResult, standard_registry
from hivekeep.tools.calculate import calculate
from hivekeep.tools.spec import EffectClass

pytestmark = pytest.mark.anyio
UNTRUSTED = of(Origin(Label.UNTRUSTED, OriginKind.DOCUMENT, "a.txt"))
ALL = tuple(standard_registry())


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Shelf:
    """A library of two documents."""

    names = ("a.txt", "b.txt")
    texts = ("The rent is 900 EUR a month.\nIt is due on the third.", "Nothing of the kind.")

    def input(self, name: str) -> InputFile:
        if name not in self.names:
            raise ToolError(f"There is no document '{name}'.")
        return InputFile(f"/in/{name}", "11" * 32, 10)

    async def read(self, name: str) -> Document:
        text = self.texts[self.names.index(name)]
        blocks = tuple(Block(i, 1, line) for i, line in enumerate(text.splitlines()))
        return Document(name, "text/plain", "22" * 32, len(text), 1, blocks)


class Gate:
    """Remembers what it was asked; denies what it is told to."""

    def __init__(self, *denied: ActionKind) -> None:
        self.asked: list[Action] = []
        self._denied = denied

    async def require(self, action: Action, *, run: str, agent: str) -> str:
        self.asked.append(action)
        if action.kind in self._denied:
            raise PolicyDeniedError("No.", rule="test")
        return "rule"


def context(
    folder: Path, gate: Gate | None = None, seen: Provenance = UNTRUSTED, **grant: Any
) -> ToolContext:
    rights = {"tools": ALL, "read": ("/in",), "write": (str(folder),), **grant}
    return ToolContext(
        "run", "run.a", "run.a/tool:0", Grant(**rights), gate or Gate(), Shelf(), str(folder), seen
    )


async def call(name: str, arguments: dict[str, Any], where: ToolContext) -> ToolResult:
    registry = standard_registry()
    chosen = registry.call(name, arguments, where.grant)
    tool = registry.tool(chosen.name)
    typed = tool.spec.arguments.model_validate(chosen.arguments, strict=False)
    prepared = await tool.prepare(typed, where)
    assert json.loads(json.dumps(prepared)) == prepared
    return await tool.perform(prepared, where)


async def test_reading_hands_back_untrusted_text_with_its_places(tmp_path: Path) -> None:
    result = await call("read_document", {"file": "a.txt", "first_block": 1}, context(tmp_path))
    assert result.text == "[1] It is due on the third."
    assert result.provenance.untrusted
    listed = await call("list_files", {}, context(tmp_path))
    assert listed.data == {"files": ["a.txt", "b.txt"]}
    assert listed.provenance.untrusted  # a sender chooses the names of what he sends


async def test_searching_finds_the_passage_and_names_only_its_document(tmp_path: Path) -> None:
    result = await call("search_documents", {"query": "rent month"}, context(tmp_path))
    assert result.data["found"] == [{"file": "a.txt", "block": 0, "page": 1}]
    seen = {origin.name for origin in result.provenance.origins}
    assert "a.txt" in seen
    assert "b.txt" not in seen
    nothing = await call("search_documents", {"query": "zebra"}, context(tmp_path))
    assert nothing.text == "(nothing found)"


async def test_a_grant_bounds_every_tool(tmp_path: Path) -> None:
    with pytest.raises(PolicyDeniedError):
        await call("calculate", {"expression": "1"}, context(tmp_path, tools=()))
    with pytest.raises(PolicyDeniedError):
        await call("read_document", {"file": "a.txt", "first_block": 0}, context(tmp_path, read=()))
    with pytest.raises(PolicyDeniedError):
        await call("write_file", {"name": "x", "content": "y"}, context(tmp_path, write=("/x",)))
    assert (await call("search_documents", {"query": "rent"}, context(tmp_path, read=()))).data[
        "found"
    ] == []


async def test_a_file_is_written_once_and_never_over_another(tmp_path: Path) -> None:
    gate = Gate()
    where = context(tmp_path, gate)
    arguments = {"name": "../no te?.md", "content": "# Hällo"}
    result = await call("write_file", arguments, where)
    path = Path(result.data["path"])
    assert path.parent == tmp_path
    assert path.read_text(encoding="utf-8") == "# Hällo"
    assert result.written == path.stat().st_size
    # What was read may have chosen the content, so policy is asked with that label.
    assert gate.asked[-1].label is Label.UNTRUSTED
    second = await call("write_file", arguments, where)
    assert second.data["path"] != result.data["path"]
    assert [p.name for p in tmp_path.glob(".*")] == []


async def test_policy_is_asked_before_anything_is_written(tmp_path: Path) -> None:
    for name, arguments in (
        ("write_file", {"name": "x", "content": "y"}),
        ("make_workbook", {"name": "x", "columns": ["a"], "rows": [["1"]]}),
    ):
        with pytest.raises(PolicyDeniedError):
            await call(name, arguments, context(tmp_path, Gate(ActionKind.WRITE_FILE)))
    assert list(tmp_path.iterdir()) == []


async def test_after_a_crash_a_written_file_is_told_from_an_unwritten_one(tmp_path: Path) -> None:
    where = context(tmp_path)
    registry = standard_registry()
    for name, arguments in (
        ("write_file", {"name": "n.txt", "content": "text"}),
        ("make_workbook", {"name": "t", "columns": ["a", "b"], "rows": [["1", "=1+1"]]}),
    ):
        tool = registry.tool(name)
        prepared = await tool.prepare(tool.spec.arguments(**arguments), where)
        assert await tool.happened(prepared, where) is Happened.NO
        await tool.perform(prepared, where)
        assert await tool.happened(prepared, where) is Happened.YES
        await tool.perform(prepared, where)  # harmless to repeat
        Path(prepared["target"]).write_text("changed by somebody")
        assert await tool.happened(prepared, where) is Happened.UNKNOWN
        with pytest.raises(StorageError, match="another file"):
            await tool.perform(prepared, where)
        assert Path(prepared["target"]).read_text() == "changed by somebody"


async def test_a_workbook_holds_numbers_as_numbers_and_formulas_as_text(tmp_path: Path) -> None:
    arguments = {
        "name": "sums",
        "columns": ["what", "how much"],
        "rows": [["=1+1", "12.50"], ["x"]],
    }
    result = await call("make_workbook", arguments, context(tmp_path))
    sheet = load_workbook(result.data["path"])["Table"]
    assert (sheet["A3"].value, sheet["A3"].data_type) == ("=1+1", "s")
    assert sheet["B3"].value == 12.5


def test_the_model_may_only_say_names_that_there_are() -> None:
    registry = standard_registry()
    schemas = registry.schemas(Grant(tools=("read_document", "calculate")), ["a.txt"])
    by_name = {schema["properties"]["tool"]["const"]: schema for schema in schemas}
    assert set(by_name) == {"read_document", "calculate"}
    said = by_name["read_document"]["properties"]["arguments"]["properties"]["file"]
    assert said == {"enum": ["a.txt"]}


@pytest.mark.parametrize("spec", standard_registry().specs, ids=lambda spec: spec.name)
def test_every_tool_says_what_it_is(spec: Any) -> None:
    assert spec.description
    assert spec.effect in EffectClass
    assert spec.schema["additionalProperties"] is False
    assert spec.schema["required"] == list(spec.schema["properties"])
    assert "$ref" not in json.dumps(spec.schema)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("0.1 + 0.2", "0.3"), ("sum(1200.50, 99, 0.5)", "1300.00"), ("round(10/3, 2)", "3.33"),
        ("(2 + 3) * -4", "-20"), ("average([1, 2, 4.5])", "2.5"), ("max(3, 9, 2) % 5", "4"),
    ],
)  # fmt: skip
def test_arithmetic_is_exact(expression: str, value: str) -> None:
    assert calculate(expression) == value


@pytest.mark.parametrize(
    "expression",
    ["__import__('os')", "a", "1/0", "'x' * 9", "9**9**9", "sum()", "(lambda: 1)()", "",
     "1 if 1 else 2", "1e999", "f'{1}'", "[1]", "sum(*[1])", "(" * 300 + ")" * 300,
     "+".join("1" * 500)],
)  # fmt: skip
def test_what_is_not_arithmetic_is_refused(expression: str) -> None:
    with pytest.raises(ToolError):
        calculate(expression)


@given(st.text(alphabet=string.printable, max_size=60))
def test_any_text_gives_a_number_or_a_refusal(text: str) -> None:
    try:
        value = calculate(text)
    except ToolError:
        return
    assert Decimal(value).is_finite()


@given(
    st.sampled_from(sorted(ALL)),
    st.dictionaries(st.sampled_from(["file", "name", "query", "expression", "x"]), st.text()),
)
def test_no_arguments_get_past_a_tools_types(name: str, arguments: dict[str, Any]) -> None:
    registry = standard_registry()
    try:
        chosen = registry.call(name, arguments, Grant(tools=ALL))
    except HivekeepError:
        return
    assert set(chosen.arguments) == set(registry.tool(name).spec.schema["properties"])
