"""A hundred real documents through the real daemon and command line, with the default model.

    make bench NAME=hundred_documents

60 e-invoices, 20 scanned receipts and 20 office files and mails of the corpus, in one run.  The
engine's worker is killed once in the middle, and so is the daemon; both have to go on.  It prints
progress, and at the end time, steps, tokens, values stated, and every failure with its reason.
Values of invoices and receipts are compared with the truth.  With ``--seconds`` the run is paused
after so long and the daemon ended; called again with the same ``--folder`` it goes on.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import Any

import psutil
import yaml
from tests.e2e.stage import Stage

from benchmarks.accuracy import is_right
from benchmarks.setup import corpus, report

# The built-in recipe's own fields with their labels, but for tables and sums: not every paper here
# is an invoice.
_FIELDS = ("number", "issue_date", "seller", "total", "currency")
_TRUTHS = {
    "einvoices": {"invoice_number": "number", "issue_date": "issue_date", "currency": "currency",
                  "seller": "seller", "total_amount": "total"},
    "receipts": {"company": "seller", "date": "issue_date", "total": "total"},
}  # fmt: skip
_OFFICE = (".eml", ".msg", ".docx", ".xlsx", ".pptx", ".odt", ".html", ".rtf", ".csv")


def recipe_text() -> str:
    """The recipe of the run."""
    source = resources.files("hivekeep.recipes") / "builtin" / "invoices.yaml"
    made = yaml.safe_load(source.read_text(encoding="utf-8"))
    made |= {"name": "papers", "title": "Papers", "instructions": "You read business papers."}
    made["description"] = "Who issued a paper, when, and about how much money it is."
    made["fields"] = [
        {**field, "required": False} for field in made["fields"] if field["name"] in _FIELDS
    ]
    return yaml.safe_dump({**made, "checks": {}}, sort_keys=False, allow_unicode=True)


def documents(folder: Path, invoices: int, receipts: int, office: int) -> list[Path]:
    """Copies of real documents below ``folder``; small ones of each office kind in turn."""
    chosen = sorted((corpus() / "einvoices").glob("*.pdf"))[:invoices]
    chosen += sorted((corpus() / "receipts").glob("*.jpg"))[:receipts]
    kinds = [sorted((corpus() / "office-and-mail").glob(f"*{kind}")) for kind in _OFFICE]
    mixed = [paths[n] for n in range(office) for paths in kinds if n < len(paths)]
    chosen += mixed[:office]
    folder.mkdir()
    return [
        Path(shutil.copyfile(path, folder / f"{path.parent.name}-{path.name}")) for path in chosen
    ]


def truths() -> dict[str, dict[str, Any]]:
    """The true values by the name of the copy."""
    found = {}
    for folder in _TRUTHS:
        for line in (corpus() / folder / "truth.jsonl").read_text(encoding="utf-8").splitlines():
            true = json.loads(line)
            found[f"{folder}-{true['file']}"] = true
    return found


def kill_engine(stage: Stage) -> bool:
    """Kill the daemon's inference worker, if there is one."""
    for child in psutil.Process(stage.pid).children(recursive=True):
        if "hivekeep.engine.worker" in " ".join(child.cmdline()):
            child.kill()
            return True
    return False


def follow(stage: Stage, state: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Wait for the run's end, say how far it is, and kill a worker and the daemon on the way.

    :param state: what has been done to the run already; changed here.
    :param seconds: after so long the run is paused.
    """
    said, deadline = -1, time.monotonic() + seconds
    while True:
        detail: dict[str, Any] = stage.client.get(f"/v1/runs/{state['run']}")
        ended = detail["counts"].get("done", 0) + detail["counts"].get("failed", 0)
        if ended // 5 != said:
            said = ended // 5
            spent = detail["spent"]
            print(f"{ended:4} documents, {spent['seconds']:6.0f} s under way, {spent['steps']} "
                  f"steps, {spent['tokens']} tokens", flush=True)  # fmt: skip
        if detail["state"] in ("finished", "failed", "cancelled"):
            return detail
        if time.monotonic() > deadline:
            stage.client.post(f"/v1/runs/{state['run']}/pause", {})
            return {**detail, "state": "paused"}
        if not state["engine"] and ended >= detail["documents"] * 0.3 and kill_engine(stage):
            state["engine"] = True
            print("     killed the engine's worker", flush=True)
        if not state["daemon"] and ended >= detail["documents"] * 0.6:
            state["daemon"] = True
            stage.kill()
            stage.start()
            print("     killed the daemon and started it again", flush=True)
        time.sleep(1)


def print_values(detail: dict[str, Any]) -> tuple[int, int, int]:
    """How many values were asked, stated, and wrong; and a table of it by kind of document."""
    known = truths()
    rows: Counter[tuple[str, str]] = Counter()
    right: Counter[str] = Counter()
    compared: Counter[str] = Counter()
    for agent in detail["agents"]:
        kind = agent["name"].rpartition("-")[0] if agent["name"] in known else "office"
        values = {value["name"]: value for value in agent["values"]}
        for value in values.values():
            rows[kind, value["status"]] += 1
        for field, own in _TRUTHS.get(kind, {}).items():
            true = known[agent["name"]].get(field)
            if true in (None, "") or own not in values:
                continue
            if values[own]["status"] in ("grounded", "derived"):
                compared[kind] += 1
                right[kind] += is_right(field, values[own]["value"], true)
    print(
        "\n| documents | grounded or derived | judged | to review | absent | right of the stated |"
    )
    print("|---|---|---|---|---|---|")
    stated = whole = 0
    for kind in (*_TRUTHS, "office"):
        count = Counter({status: n for (k, status), n in rows.items() if k == kind})
        sure = count["grounded"] + count["derived"]
        stated, whole = stated + sure, whole + sum(count.values())
        of = f"{right[kind]} of {compared[kind]}" if compared[kind] else "no truth"
        print(f"| {kind} | {sure} | {count['judged']} | {count['needs_review']} | "
              f"{count['absent']} | {of} |")  # fmt: skip
    return whole, stated, sum(compared.values()) - sum(right.values())


def begin(stage: Stage, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """A new run by command line, and what has been done to it: nothing."""
    documents(folder / "inbox", options.invoices, options.receipts, options.office)
    recipe = folder / "papers.yaml"
    recipe.write_text(recipe_text(), encoding="utf-8")
    started = stage.cli(
        "run", str(recipe), str(folder / "inbox"), "-o", str(folder / "out"), "--no-wait"
    )
    return {"run": started["id"], "engine": not options.disturb, "daemon": not options.disturb}


def measure(folder: Path, options: argparse.Namespace) -> None:
    """Run, or go on with the run that is there, and report."""
    kept = folder / "state.json"
    stage = Stage(folder)
    stage.start()
    try:
        if kept.exists():
            state = json.loads(kept.read_text())
            stage.client.post(f"/v1/runs/{state['run']}/resume", {})
        else:
            state = begin(stage, folder, options)
        detail = follow(stage, state, options.seconds)
        kept.write_text(json.dumps(state))
        if detail["state"] == "paused":
            print("paused; call it again with the same folder")
            return
        shown = stage.command("runs", "show", state["run"])
        verified = stage.cli("audit", "verify")
    finally:
        stage.stop()
        stage.close()
    print(shown.stdout[-1500:])
    for agent in detail["agents"]:
        if failure := agent["failure"]:
            print(f"failed: {agent['name']}: {failure['reason']}: {failure['what']}")
    whole, stated, wrong = print_values(detail)
    usage, spent = detail["usage"], detail["spent"]
    done, count, seconds = detail["counts"].get("done", 0), detail["documents"], spent["seconds"]
    print(
        f"\n{count} documents in {seconds / 60:.1f} min ({done} done), {spent['steps']} "
        f"steps, {usage['prompt']} prompt tokens of which {usage['cached']} kept, "
        f"{usage['completion']} answered; {stated} of {whole} values stated, {wrong} wrong; "
        f"audit log {'verifies' if verified['ok'] else 'DOES NOT VERIFY'}"
    )
    lost = count - sum(detail["counts"].values())
    report(
        "hundred_documents", seconds / 60, "minutes", "finished, none lost, <= 40",
        holds=detail["state"] == "finished" and not lost and seconds <= 2400 and verified["ok"],
        against="the time under way", n=count,
    )  # fmt: skip


def main() -> None:
    """Measure in a folder of its own."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--invoices", type=int, default=60)
    options.add_argument("--receipts", type=int, default=20)
    options.add_argument("--office", type=int, default=20)
    options.add_argument("--no-disturb", dest="disturb", action="store_false")
    options.add_argument("--folder", type=Path)
    options.add_argument("--seconds", type=float, default=1e9)
    chosen = options.parse_args()
    if chosen.folder:
        chosen.folder.mkdir(parents=True, exist_ok=True)
        measure(chosen.folder.resolve(), chosen)
        return
    with tempfile.TemporaryDirectory(prefix="hivekeep-bench-") as folder:
        measure(Path(folder), chosen)


if __name__ == "__main__":
    main()
