"""Plans without a model: for requests of a common shape, and the simplest one.

Responsible for what is done where the model gives no usable plan.  Invariant: such a plan is sound,
and its note says that no model made it and why.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from hivekeep.domain.fields import FieldSpec, FieldType
from hivekeep.domain.tasks import Comparison, Condition, Figure, Take, TaskGraph, TaskSpec, Work
from hivekeep.swarm.planning.outputs import output
from hivekeep.swarm.planning.wording import Wording, currency_named, wording

SIMPLEST = "the model proposed no usable plan; this is the simplest one"
"""How the note of such a plan begins."""

_Value = tuple[str, FieldType, str]
_INVOICE: tuple[_Value, ...] = (
    ("number", FieldType.IDENTIFIER, "invoice number"),
    ("issue_date", FieldType.DATE, "date of the invoice"),
    ("seller", FieldType.NAME, "company that issued the invoice"),
    ("total", FieldType.AMOUNT, "total to pay, tax included"),
    ("currency", FieldType.CURRENCY, "currency of the amounts"),
)
_RECEIPT: tuple[_Value, ...] = (
    ("merchant", FieldType.NAME, "shop that issued the receipt"),
    ("date", FieldType.DATE, "date of the purchase"),
    ("total", FieldType.AMOUNT, "total paid"),
    ("currency", FieldType.CURRENCY, "currency of the amounts"),
)
_OTHER: tuple[_Value, ...] = (
    ("title", FieldType.TEXT, "title of the document"),
    ("date", FieldType.DATE, "date of the document"),
    ("amount", FieldType.AMOUNT, "the amount that matters most"),
    ("currency", FieldType.CURRENCY, "currency of the amount"),
)
_KINDS: tuple[tuple[str, tuple[_Value, ...]], ...] = (
    (r"invoice|bill|rechnung|facture|发票|账单", _INVOICE),
    (r"receipt|quittung|kassenbon|beleg|reçu|收据|小票", _RECEIPT),
)
_FOLDERS = ("invoice", "receipt", "contract", "letter", "report", "other")


def usual_plan(goal: str, why: str, known: Sequence[FieldSpec] = ()) -> TaskGraph | None:
    """A plan for a request over documents whose words are of a known shape; else ``None``."""
    said = wording(goal)
    if not said.recognised:
        return None
    values = next((v for words, v in _KINDS if re.search(words, goal.casefold())), _OTHER)
    note = f"made by fixed rules, because the model's plan could not be used: {why}"
    read, *later = _tasks(goal, said, values, known)
    return TaskGraph((read, *later), note=note[:400])


def simple_plan(goal: str, documents: int, tools: Collection[str], why: str = "") -> TaskGraph:
    """The plan for when a model gives no usable one: read everything, then answer."""
    answer = output("answer", FieldType.PROSE, "the answer")
    finding = output("finding", FieldType.PROSE, "what answers the request")
    read = TaskSpec("read", goal.strip(), each_document=True, outputs=(finding,))
    allowed = tuple(name for name in ("search_documents", "calculate") if name in tools)
    combine = TaskSpec("answer", goal.strip(), tools=allowed, outputs=(answer,),
                       after=("read",) if documents else ())  # fmt: skip
    tasks = (read, combine) if documents else (combine,)
    return TaskGraph(tasks, note=f"{SIMPLEST}. {why}"[:400] if why else SIMPLEST)


def _tasks(
    goal: str, said: Wording, values: Sequence[_Value], known: Sequence[FieldSpec]
) -> list[TaskSpec]:
    after = ("read",)
    later = []
    if said.folders:
        kind = output("kind", FieldType.CHOICE, "what the document is", _FOLDERS)
        read = TaskSpec("read", "Say what the document is.", each_document=True, outputs=(kind,))
        return [read, TaskSpec("folders", goal, after=after, work=Work.FOLDERS, folder="kind")]
    if said.summary and not said.comparisons:
        summary = output("summary", FieldType.PROSE, "three to five sentences")
        title = output("title", FieldType.TEXT, "title of the document")
        read = TaskSpec("read", "Sum it up.", each_document=True, outputs=(title, summary))
        return [read, TaskSpec("summary", goal, after=after, work=Work.SUMMARY)]
    specs = tuple(output(name, kind, about, (), known) for name, kind, about in values)
    read = TaskSpec("read", "Read its values.", each_document=True, outputs=specs)
    amount = next(spec.name for spec in specs if spec.type is FieldType.AMOUNT)
    where = [Condition(amount, is_, f"{number:f}") for is_, number in said.comparisons]
    code = currency_named(goal)
    where += [Condition("currency", Comparison.EQUAL, code)] if code and where else []
    figures = tuple(Figure(amount, take) for take in said.takes)
    extreme = {Take.MAX: f"-{amount}", Take.MIN: amount}
    sort = next((extreme[take] for take in said.takes if take in extreme), "")
    later.append(
        TaskSpec("table", goal, after=after, work=Work.TABLE, where=tuple(where), sort=sort,
                 figures=figures)
    )  # fmt: skip
    return [read, *later]
