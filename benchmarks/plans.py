"""What the real model plans for free requests, and how long it takes.

    make bench NAME=plans

Ten requests over names of real documents, in English, German and Chinese.  Each plan is made as
``hivekeep ask`` makes it: the model's, a corrected one after an objection, or one by fixed rules.
A plan counts as good if it has the parts that its request needs, which is said below beside each;
the plans are printed, so that a person can judge them too.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import anyio

from benchmarks.setup import report
from hivekeep.daemon.main import StoreFiles
from hivekeep.daemon.profile import Profile
from hivekeep.daemon.run_verbs import ask_plan
from hivekeep.domain.fields import FieldType
from hivekeep.domain.inference import GenerateRequest, Message
from hivekeep.domain.tasks import Comparison, Take, TaskGraph, Work
from hivekeep.engine.local import LocalEngine
from hivekeep.engine.store import ModelStore
from hivekeep.recipes import known_fields
from hivekeep.swarm.asking import offered_specs
from hivekeep.swarm.planning import PLAN_TOKENS, graph_text, planned
from hivekeep.tools import standard_registry

_INVOICES = tuple(f"{number:03d}.pdf" for number in range(1, 41))
_CONTRACTS = ("service-agreement.docx", "lease-harbour.pdf", "nda-2025.docx")
_FILINGS = ("example-10k-1p.html", "Performance-Audit-Discussion.pdf", "IRS-form-1987.pdf")
_MIXED = ("rechnung-2026-0417.pdf", "fake-email.eml", "service-agreement.docx", "012.jpg")
_WORDS = (FieldType.DATE, FieldType.TEXT, FieldType.PROSE)
_MAILS = ("family-day.eml", "fake-email.eml", "mime-multi-to-cc-bcc.eml")


def _works(graph: TaskGraph) -> set[Work]:
    return {task.work for task in graph.tasks if not task.each_document}


def _reads(graph: TaskGraph, *kinds: FieldType) -> bool:
    found = {spec.type for task in graph.tasks if task.each_document for spec in task.outputs}
    return set(kinds) <= found


def _asks(graph: TaskGraph, comparison: Comparison, value: str) -> bool:
    return any(c.is_ is comparison and c.value == value for t in graph.tasks for c in t.where)


def _compares(graph: TaskGraph, comparison: Comparison, value: str, code: str) -> bool:
    number = _asks(graph, comparison, value) or _asks(graph, comparison, f"{value}.00")
    return number and _asks(graph, Comparison.EQUAL, code)


def _takes(graph: TaskGraph) -> set[Take]:
    found = {figure.take for task in graph.tasks for figure in task.figures}
    return found | ({Take.MAX} if any(task.sort.startswith("-") for task in graph.tasks) else set())


@dataclass(frozen=True)
class Case:
    """A request, its documents, and what a plan for it needs at least."""

    request: str
    names: tuple[str, ...]
    needs: Callable[[TaskGraph], bool]


CASES = (
    Case("a table of all invoices over 1000 EUR", _INVOICES,
         lambda g: _compares(g, Comparison.OVER, "1000", "EUR")),
    Case("what notice periods do these contracts have", _CONTRACTS,
         lambda g: any("notice" in s.name for t in g.tasks for s in t.outputs)),
    Case("summarise these filings in one page", _FILINGS,
         lambda g: Work.SUMMARY in _works(g) and _reads(g, FieldType.PROSE)),
    Case("sort these into folders", _MIXED,
         lambda g: Work.FOLDERS in _works(g)),
    Case("Which invoice is the largest, and what do they add up to?", _INVOICES,
         lambda g: {Take.MAX, Take.SUM} <= _takes(g) and _reads(g, FieldType.AMOUNT)),
    Case("Which invoices are due after 2018-06-01, and who has to pay them?", _INVOICES,
         lambda g: _asks(g, Comparison.AFTER, "2018-06-01") and _reads(g, FieldType.NAME)),
    Case("Welche Rechnungen liegen unter 200 Euro?", _INVOICES,
         lambda g: _compares(g, Comparison.UNDER, "200", "EUR")),
    Case("Does any of these mails ask me to do something, and until when?", _MAILS,
         # Words for each mail and an answer from them will do; a condition on words will not.
         lambda g: any(_reads(g, kind) for kind in _WORDS)
         and not any(task.where for task in g.tasks)),
    Case("把超过500元的发票列成一张表", _INVOICES,
         lambda g: _compares(g, Comparison.OVER, "500", "CNY")),
    Case("Write a note to my accountant about what we were billed, as a file", _INVOICES,
         lambda g: any("write_file" in task.tools for task in g.tasks)),
)  # fmt: skip


async def measure(model: str) -> None:
    """Plan every request and report."""
    specs = offered_specs(standard_registry())
    known = known_fields()
    good, spent = 0, []
    async with LocalEngine(StoreFiles(ModelStore(Profile.models()))) as engine:
        for number, case in enumerate(CASES):
            tokens: list[str] = []

            async def think(
                key: str, messages: tuple[Message, ...], schema: dict[str, object],
                number: int = number, tokens: list[str] = tokens,
            ) -> str:  # fmt: skip
                request = GenerateRequest(
                    f"{number}/{key}", "plans", "plans", model, messages, schema, PLAN_TOKENS
                )
                done = await engine.complete(request)
                use = done.usage
                tokens.append(f"{use.prompt} in ({use.cached} kept), {use.completion} out")
                return done.text

            begun = time.monotonic()
            graph, why = await planned(think, case.request, case.names, specs, known)
            seconds = time.monotonic() - begun
            right = case.needs(graph)
            good += right
            spent.append(seconds)
            print(f"\n## {case.request}  ({len(case.names)} documents)\n")
            print(f"{'good' if right else 'NOT GOOD'}, {seconds:.1f} s, {'; '.join(tokens)}")
            made = "by rules" if why else "by the model"
            print(f"{made}, {graph.note}\n{graph_text(graph)}", flush=True)
    print(f"\nseconds: first {spent[0]:.1f}, others {sorted(spent[1:])[len(spent[1:]) // 2]:.1f}")
    report(
        "plans", good / len(CASES), "share of good plans", "1", holds=good == len(CASES),
        against="what each request needs", n=len(CASES),
    )  # fmt: skip


def main() -> None:
    """Measure."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--model", default=ask_plan("x").model)
    anyio.run(measure, options.parse_args().model)


if __name__ == "__main__":
    main()
