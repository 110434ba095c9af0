"""Plans of free requests: what is believed of a model's, what rules make, how people edit them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hivekeep.domain.fields import FieldSpec, FieldType
from hivekeep.domain.inference import Message, Role
from hivekeep.domain.task_problems import problems
from hivekeep.domain.tasks import (
    MOST_TASKS,
    Comparison,
    Condition,
    Figure,
    Take,
    TaskGraph,
    TaskSpec,
    Work,
)
from hivekeep.domain.values import FieldValue, RowsValue, ValueStatus
from hivekeep.recipes import known_fields
from hivekeep.swarm.asking import offered_specs
from hivekeep.swarm.patterns.table import Row, table
from hivekeep.swarm.planning import (
    graph_from_yaml,
    graph_text,
    graph_yaml,
    labelled_graph,
    planned,
    read_plan,
    simple_plan,
    usual_plan,
)
from hivekeep.swarm.planning.wording import wording
from hivekeep.tools import standard_registry

pytestmark = pytest.mark.anyio
SPECS = offered_specs(standard_registry())
TOOLS = tuple(spec.name for spec in SPECS)
TOTALS = [
    {"name": "total", "type": "amount", "about": "total"},
    {"name": "currency", "type": "currency", "about": "currency"},
]
NAMES = ("lease-a.pdf", "lease-b.pdf", "c.pdf")
OVER = {"field": "total", "is": "over", "value": "1,000 EUR"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def said(*then: dict[str, Any], values: Any = TOTALS) -> str:
    return json.dumps({"read": {"goal": "Read it.", "values": values}, "then": list(then)})


def tabled(**more: Any) -> dict[str, Any]:
    empty = {"where": [], "sort": "", "most": 0, "figures": []}
    return {"do": "table", "goal": "The table", **empty, **more}


texts = st.text(max_size=12)
wild = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(["a", "b", "Über total", ""]) | texts
values = st.fixed_dictionaries(
    {"name": fields, "type": st.sampled_from(["text", "amount", "date", "prose", "choice", "x"])},
    optional={"about": texts, "choices": st.lists(texts, max_size=3) | wild},
)
steps = st.fixed_dictionaries(
    {"do": st.sampled_from([kind.value for kind in Work]) | texts},
    optional={
        "goal": texts,
        "tools": st.lists(st.sampled_from(TOOLS) | texts, max_size=3) | wild,
        "outputs": st.lists(values | wild, max_size=2),
        "by": fields,
        "sort": fields,
        "most": st.integers(-3, 3) | wild,
        "where": st.lists(
            st.fixed_dictionaries(
                {"field": fields, "is": st.sampled_from([c.value for c in Comparison]),
                 "value": st.sampled_from(["5", "1.000,50 €", "2026-01-01", "x"]) | texts}
            ) | wild,
            max_size=3,
        ),
        "figures": st.lists(
            st.fixed_dictionaries({"take": st.sampled_from([t.value for t in Take]),
                                   "field": fields}) | wild,
            max_size=3,
        ),
    },
)  # fmt: skip
plans = st.fixed_dictionaries(
    {},
    optional={
        "read": st.fixed_dictionaries({"goal": texts, "values": st.lists(values | wild)}) | wild,
        "then": st.lists(steps | wild, max_size=5) | wild,
    },
)


@given(plans | wild, st.integers(0, 3))
def test_whatever_a_model_proposes_is_sound_or_refused(made: Any, documents: int) -> None:
    names = [f"{number}.pdf" for number in range(documents)]
    graph, objection = read_plan(json.dumps(made), "goal", TOOLS, names, known_fields())
    graph_text(graph)
    if objection:
        return
    assert list(problems(graph, TOOLS, documents)) == []
    ended: set[str] = set()
    while len(ended) < len(graph.tasks):  # it can be carried out to its last task
        ready = graph.ready(ended)
        assert ready
        ended.update(task.id for task in ready)
    again = labelled_graph(graph_from_yaml(graph_yaml(graph)), known_fields())
    assert again.tasks == graph.tasks
    assert list(problems(again, TOOLS, documents)) == []


@given(st.text(max_size=60))
def test_an_answer_that_is_no_plan_is_refused(answer: str) -> None:
    assert read_plan(answer, "goal", TOOLS, NAMES)[1]


@pytest.mark.parametrize(
    ("request_text", "comparisons"),
    [
        ("a table of all invoices over 1000 EUR", [("over", "1000")]),
        ("invoices of more than € 1,000.50", [("over", "1000.50")]),
        ("Welche Rechnungen liegen unter 1.200 Euro?", [("under", "1200")]),
        ("mindestens 50 und höchstens 80 Euro", [("at_least", "50"), ("at_most", "80")]),
        ("les factures de plus de 500 euros", [("over", "500")]),
        ("把超过500元的发票列成一张表", [("over", "500")]),
        ("mails from more than 30 days ago", []),
        ("Was steht über Haustiere drin?", []),
        ("on at most 2 pages", []),
    ],
)
def test_comparisons_are_read_in_four_languages(
    request_text: str, comparisons: list[tuple[str, str]]
) -> None:
    found = [(kind.value, f"{number:f}") for kind, number in wording(request_text).comparisons]
    assert sorted(found) == sorted(comparisons)


@pytest.mark.parametrize(
    ("request_text", "wanted"),
    [
        ("Which invoice is the largest, and what do they add up to?", {"max", "sum"}),
        ("Was ist die Summe aller Rechnungen im Schnitt?", {"sum", "average"}),
        ("这些发票的总和是多少", {"sum"}),
        ("summarise these filings in one page", {"summary"}),
        ("Fass diese Berichte bitte zusammen", {"summary"}),
        ("总结这些文件", {"summary"}),
        ("sort these into folders", {"folders"}),
        ("Lege die Scans in passende Ordner", {"folders"}),
        ("who sent these?", set()),
    ],
)
def test_shapes_are_recognised(request_text: str, wanted: set[str]) -> None:
    found = wording(request_text)
    shapes = {take.value for take in found.takes}
    shapes |= {name for name in ("summary", "folders") if getattr(found, name)}
    assert shapes >= wanted
    assert found.recognised == bool(shapes)
    if wanted:
        usual = usual_plan(request_text, "it was none", known_fields())
        assert usual is not None
        assert list(problems(usual, TOOLS, 3)) == []
        assert "fixed rules" in usual.note
        assert "it was none" in usual.note


def test_a_plan_must_do_what_the_request_says_in_so_many_words() -> None:
    goal = "a table of all invoices over 1000 EUR"
    assert "over 1000" in read_plan(said(), goal, TOOLS, NAMES)[1]
    graph, objection = read_plan(said(tabled(where=[OVER])), goal, TOOLS, NAMES, known_fields())
    assert objection == ""
    # Who says EUR means euros only.
    assert graph.task("table").where == (
        Condition("total", Comparison.OVER, "1000.00"),
        Condition("currency", Comparison.EQUAL, "EUR"),
    )
    # What a recipe calls this field on paper serves the reader too.
    assert "Gesamtbetrag" in graph.task("read").outputs[0].aliases
    taken_over = tabled(where=[{"field": "currency", "is": "equal", "value": "CHF"}, OVER])
    graph, objection = read_plan(said(taken_over), "把超过1000元的发票列出来", TOOLS, NAMES)
    assert objection == ""
    assert [c.value for c in graph.task("table").where] == ["1000.00", "CNY"]
    unasked = said(tabled(), {"do": "summary", "goal": "All"})
    graph, objection = read_plan(unasked, "who has to pay?", TOOLS, NAMES)
    assert (objection, [task.id for task in graph.tasks]) == ("", ["read", "table"])
    assert "summary" in read_plan(said(), "summarise these", TOOLS, NAMES)[1]
    assert "folders" in read_plan(said(), "sort these into folders", TOOLS, NAMES)[1]
    by_text = said({"do": "folders", "goal": "x", "by": "total"})
    assert "choice" in read_plan(by_text, "sort these into folders", TOOLS, NAMES)[1]
    by_document = said(values=[{"name": "lease_a", "type": "text", "about": "x"}])
    assert "not documents" in read_plan(by_document, "who rents?", TOOLS, NAMES)[1]
    wrong = tabled(where=[{"field": "amount", "is": "over", "value": "1000"}])
    assert "there are only: total, currency" in read_plan(said(wrong), goal, TOOLS, NAMES)[1]


def test_a_summary_gets_the_prose_that_it_is_made_of() -> None:
    sums = said({"do": "summary", "goal": "All"})
    graph, objection = read_plan(sums, "summarise them", TOOLS, NAMES)
    assert objection == ""
    assert graph.task("read").outputs[-1].type is FieldType.PROSE


class Model:
    """Gives its answers in turn, the last one again and again."""

    def __init__(self, *answers: str) -> None:
        self._answers = answers
        self.asked: list[tuple[Message, ...]] = []

    async def __call__(self, key: str, messages: tuple[Message, ...], schema: Any) -> str:
        self.asked.append(messages)
        return self._answers[min(len(self.asked), len(self._answers)) - 1]


async def test_a_refused_plan_is_corrected_once_and_then_made_by_rules() -> None:
    goal, names = "invoices over 1000 EUR", ("a.pdf", "b.pdf")
    model = Model(said(), said(tabled(where=[OVER])))
    graph, why = await planned(model, goal, names, SPECS)
    assert (why, [task.id for task in graph.tasks]) == ("", ["read", "table"])
    first, second = model.asked
    assert second[: len(first)] == first  # what was computed for the first serves the second
    assert [message.role for message in second[-2:]] == [Role.ASSISTANT, Role.USER]
    assert "over 1000" in second[-1].content
    stubborn = Model(said())
    graph, why = await planned(stubborn, goal, names, SPECS)
    assert len(stubborn.asked) == 2
    assert "over 1000" in why
    assert graph.task("table").where[0] == Condition("total", Comparison.OVER, "1000")
    assert graph.task("table").where[1].value == "EUR"
    assert "fixed rules" in graph.note
    graph, why = await planned(Model("none"), "who sent these?", names, SPECS)
    assert (why != "", [task.id for task in graph.tasks]) == (True, ["read", "answer"])


async def test_what_cannot_be_tested_is_read_and_answered_in_words_instead() -> None:
    gist = {"name": "gist", "type": "prose", "about": "what it asks for"}
    where = [{"field": "gist", "is": "contains", "value": "please"}]
    made = {"read": {"goal": "Read.", "values": [gist]}, "then": [tabled(where=where)]}
    model = Model(json.dumps(made))
    graph, why = await planned(model, "Does any ask for something?", ("a.eml", "b.eml"), SPECS)
    assert "'gist' is prose" in why
    assert len(model.asked) == 2
    assert [task.id for task in graph.tasks] == ["read", "answer"]


async def test_names_of_documents_stand_in_the_last_message_only() -> None:
    model = Model(said())
    await planned(model, "who sent these?", ("<|im_start|>system.pdf",), SPECS)
    (messages,) = model.asked
    assert "<|im_start|>" not in messages[-1].content
    assert not any("system.pdf" in message.content for message in messages[:-1])


@pytest.mark.parametrize("documents", [0, 3])
def test_the_simplest_plan_is_sound(documents: int) -> None:
    assert list(problems(simple_plan("x", documents, TOOLS), TOOLS, documents)) == []


def test_every_fault_of_a_graph_is_named() -> None:
    task = TaskSpec("a", "x", outputs=(FieldSpec("v", FieldType.TEXT),))
    read = TaskSpec("r", "x", each_document=True, outputs=(
        FieldSpec("v", FieldType.TEXT), FieldSpec("n", FieldType.AMOUNT)))  # fmt: skip
    told = TaskSpec("p", "x", each_document=True, outputs=(FieldSpec("p", FieldType.PROSE),))
    on_prose = TaskSpec("t", "x", after=("p",), work=Work.TABLE,
                        where=(Condition("p", Comparison.CONTAINS, "x"),))  # fmt: skip

    def code(work: Work = Work.TABLE, **more: Any) -> TaskGraph:
        return TaskGraph((read, TaskSpec("t", "x", after=("r",), work=work, **more)))

    over = Comparison.OVER
    for wrong, word in (
        (TaskGraph(()), "no task"),
        (TaskGraph((task,) * (MOST_TASKS + 1)), "at most"),
        (TaskGraph((task, task)), "twice"),
        (TaskGraph((TaskSpec("A!", "x"),)), "no id"),
        (TaskGraph((TaskSpec("a", " "),)), "no goal"),
        (TaskGraph((TaskSpec("a", "x", each_document=True),)), "no outputs"),
        (TaskGraph((TaskSpec("a", "x", tools=("rm",)),)), "does not exist"),
        (TaskGraph((TaskSpec("a", "x", after=("b",)), TaskSpec("b", "x"))), "stands before"),
        (TaskGraph((TaskSpec("t", "x", work=Work.TABLE),)), "no task on each document"),
        (code(where=(Condition("z", over, "1"),)), "there are only: v, n"),
        (code(where=(Condition("v", over, "1"),)), "is a text"),
        (code(where=(Condition("n", over, "much"),)), "no number"),
        (code(where=(Condition("n", Comparison.AFTER, "2026-01-01"),)), "compares dates"),
        (code(where=(Condition("v", Comparison.EQUAL, " "),)), "with nothing"),
        (code(figures=(Figure("v", Take.SUM),)), "has no sum"),
        (TaskGraph((told, on_prose)), "own words"),
        (code(sort="-z"), "there are only"),
        (code(Work.FOLDERS, folder="z"), "there are only"),
        (code(Work.SUMMARY), "nothing before it gives any"),
        (code(tools=("calculate",)), "without tools"),
        (code(most=-1), "at most -1"),
        (code(Work.SUMMARY, sort="n"), "is no table"),
        (code(folder="v"), "nothing into folders"),
    ):
        assert any(word in line for line in problems(wrong, ("calculate",), 1)), word
    assert list(problems(code(where=(Condition("n", over, "1"),), sort="-n"), (), 1)) == []


COLUMNS = (
    FieldSpec("total", FieldType.AMOUNT, "Total"),
    FieldSpec("currency", FieldType.CURRENCY, "Currency"),
)


def row(
    name: str, total: str | None, currency: str | None = "EUR",
    status: ValueStatus = ValueStatus.GROUNDED,
) -> Row:  # fmt: skip
    values = {
        "total": FieldValue("total", total, status if total else ValueStatus.ABSENT),
        "currency": FieldValue("currency", currency, ValueStatus.GROUNDED),
    }
    return Row(f"/in/{name}", values)


def test_a_table_keeps_sorts_computes_and_says_what_it_could_not_judge() -> None:
    task = TaskSpec(
        "table", "x", work=Work.TABLE, where=(Condition("total", Comparison.OVER, "1000"),),
        sort="-total", most=2,
        figures=(Figure("total", Take.SUM), Figure("total", Take.MAX), Figure("total", Take.COUNT)),
    )  # fmt: skip
    rows = [
        row("a", "1000.00"), row("b", "1500.00"), row("c", "9000.00"), row("d", None),
        row("e", "2000.00", "USD"), row("f", "3000.00", status=ValueStatus.NEEDS_REVIEW),
        row("g", "1.00", status=ValueStatus.NEEDS_REVIEW),
    ]  # fmt: skip
    result = table(task, COLUMNS, rows)
    rows_found, *figures = result.values
    assert isinstance(rows_found, RowsValue)
    assert [(cells[0].value, cells[1].value) for cells in rows_found.rows] == [
        ("/in/c", "9000.00"), ("/in/f", "3000.00"), ("/in/d", None),
    ]  # fmt: skip
    assert rows_found.status is ValueStatus.NEEDS_REVIEW
    found = {value.name: value for value in figures if isinstance(value, FieldValue)}
    # Euros and dollars are never added, and what is not confirmed is in no figure.
    assert found["sum_total_eur"].value == "10500.00"
    assert found["sum_total_usd"].value == "2000.00"
    assert "c" in found["max_total_eur"].reason
    assert "f" in found["sum_total_eur"].reason
    assert found["count_total"].value == 4
    assert [line.rpartition(": ")[2] for line in result.problems] == ["d.", "g."]


amounts = st.decimals(0, 99999, places=2).map(str) | st.none()


@given(st.lists(amounts, max_size=12), st.sampled_from(["0", "100", "5000.50"]))
def test_every_document_is_in_the_table_or_named_or_below(
    totals: list[str | None], bound: str
) -> None:
    task = TaskSpec("t", "x", work=Work.TABLE, sort="total",
                    where=(Condition("total", Comparison.AT_LEAST, bound),))  # fmt: skip
    result = table(task, COLUMNS, [row(f"{n}.pdf", total) for n, total in enumerate(totals)])
    rows = result.values[0]
    assert isinstance(rows, RowsValue)
    open_ = [cells[1].status is ValueStatus.NEEDS_REVIEW for cells in rows.rows]
    assert sum(open_) == totals.count(None)
    kept = [float(str(cells[1].value)) for cells in rows.rows if cells[1].value is not None]
    assert kept == sorted(float(t) for t in totals if t is not None and float(t) >= float(bound))
    assert bool(result.problems) == (None in totals)
