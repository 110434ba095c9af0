"""How many values are stated, and how many of the stated ones are right.

Compares the built-in recipes ``invoices`` and ``receipts``, with the default model, against the
true values of the shared corpus.  A value counts as stated if it is grounded or derived; one that
is marked for review, or absent, is not stated.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from html import unescape
from pathlib import Path
from typing import Any

import anyio

from benchmarks.setup import corpus, report, swarm
from hivekeep.domain.fields import FieldType, Plan
from hivekeep.domain.values import DocumentResult, FieldValue, ValueStatus
from hivekeep.recipes import builtin_recipes
from hivekeep.swarm.verification import check
from hivekeep.swarm.verification.amounts import find_amounts
from hivekeep.swarm.verification.dates import find_dates

STATED = (ValueStatus.GROUNDED, ValueStatus.DERIVED)


@dataclass(frozen=True)
class Set:
    """One part of the corpus: its recipe, and which recipe field answers which true value."""

    folder: str
    recipe: str
    fields: dict[str, str]


SETS = (
    Set("einvoices", "invoices", {
        "invoice_number": "number", "issue_date": "issue_date", "currency": "currency",
        "seller": "seller", "buyer": "buyer", "total_amount": "total",
    }),
    Set("receipts", "receipts", {"company": "company", "date": "date", "total": "total"}),
)  # fmt: skip


def is_right(field: str, got: Any, true: Any) -> bool:
    """The corpus's own rule for what counts as right."""
    if field in ("total", "total_amount"):
        # Some true totals are written as printed, with their currency.
        amounts = find_amounts(str(true))
        try:
            return any(abs(Decimal(str(got)) - v) <= Decimal("0.005") for v in amounts[0].values)
        except (InvalidOperation, IndexError):
            return False
    if field in ("date", "issue_date"):
        days = {day.isoformat() for m in find_dates(str(true)) for day in m.days}
        return str(got) in days | {str(true)}
    # The truth of invoices was cut from XML: "&amp;" there is "&" on the page.
    return " ".join(str(got).split()) == " ".join(unescape(str(true)).split())


def scalars_only(plan: Plan) -> Plan:
    """The plan without tables, which the corpus has no truth for."""
    return replace(plan, fields=tuple(s for s in plan.fields if s.type is not FieldType.ROWS))


def judge(
    chosen: Set, results: dict[str, DocumentResult | None], truths: dict[str, Any]
) -> list[dict[str, Any]]:
    """One row for each true value; ``results`` by file name."""
    rows = []
    for name, result in results.items():
        for field, own in chosen.fields.items():
            true = truths[name].get(field)
            if true in (None, ""):
                continue
            value = result.get(own) if result else None
            got = value.value if isinstance(value, FieldValue) else None
            status = value.status.value if value else "failed"
            stated = isinstance(value, FieldValue) and value.status in STATED
            rows.append({
                "set": chosen.folder, "file": name, "field": field, "true": true, "got": got,
                "status": status, "stated": stated, "right": is_right(field, got, true),
                "reason": getattr(value, "reason", ""),
            })  # fmt: skip
    return rows


def truths_of(folder: Path) -> dict[str, Any]:
    """The true values by file name."""
    found = {}
    for line in (folder / "truth.jsonl").read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        found[item["file"]] = item
    return found


async def measure(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Process the corpus and judge every value."""
    rows: list[dict[str, Any]] = []
    async with swarm(folder / "journal.db") as running:
        for chosen in SETS:
            if options.only and options.only != chosen.folder:
                continue
            place = corpus() / chosen.folder
            truths = truths_of(place)
            files = [place / name for name in sorted(truths)][:: options.step][: options.limit]
            plan = scalars_only(builtin_recipes()[chosen.recipe].compile())
            if options.model:
                plan = replace(plan, model=options.model)
            if options.labels_only:
                results: dict[str, DocumentResult | None] = {
                    file.name: check(plan, await running.readers.read(file), {}) for file in files
                }
            else:
                record = await running.run(plan, files)
                agents = record.agents.values()
                results = {Path(agent.input.path).name: agent.result for agent in agents}
            rows += judge(chosen, results, truths)
    return rows


def main() -> None:
    """Measure, print a table of fields, and the line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=int, default=None, help="at most so many files a set")
    parser.add_argument("--step", type=int, default=1, help="every n-th file only")
    parser.add_argument("--only", choices=[chosen.folder for chosen in SETS])
    parser.add_argument("--model", default="", help="another model than the recipes'")
    parser.add_argument("--labels-only", action="store_true", help="without any model")
    parser.add_argument("--details", type=Path, help="write one JSON line for each value here")
    parser.add_argument("--keep", help="keep the journal in this folder")
    options = parser.parse_args()
    folder = Path(options.keep or tempfile.mkdtemp(prefix="hivekeep-accuracy-"))
    folder.mkdir(parents=True, exist_ok=True)
    rows = anyio.run(measure, options, folder)
    if options.details:
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        options.details.write_text("".join(lines), encoding="utf-8")
    counts: Counter[tuple[str, str, str]] = Counter()
    for row in rows:
        key = (row["set"], row["field"])
        counts[(*key, "all")] += 1
        counts[(*key, "stated")] += row["stated"]
        counts[(*key, "right")] += row["stated"] and row["right"]
    for where, field in dict.fromkeys((key[0], key[1]) for key in counts):
        n, stated, right = (counts[where, field, kind] for kind in ("all", "stated", "right"))
        print(f"{where:10} {field:12} {n:4}  stated {stated / n:6.1%}", end="")
        print(f"  right of stated {right / stated:6.1%}" if stated else "")
    stated = sum(row["stated"] for row in rows)
    right = sum(row["stated"] and row["right"] for row in rows)
    share, correct = stated / max(len(rows), 1), right / max(stated, 1)
    print(f"stated {share:.1%} of {len(rows)}, right {correct:.1%} of stated")
    report(
        "accuracy", correct, "share of stated values that are right",
        ">= 0.97 right, >= 0.90 stated", holds=correct >= 0.97 and share >= 0.90,
        against=f"true values; stated {share:.4f}", n=len(rows),
    )  # fmt: skip


if __name__ == "__main__":
    main()
