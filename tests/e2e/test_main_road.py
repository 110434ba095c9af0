"""Folder in, workbook out: the real daemon, readers and default model, without a network."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from tests.e2e.stage import Stage, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.model, pytest.mark.timeout(600)]
CHOSEN = ("rechnung-2026-0417.pdf", "mail-invoice-kestrel.eml", "invoice-with-instructions.pdf")
CHECKED = ("number", "issue_date", "currency", "net", "tax", "total")


def own_network() -> tuple[str, ...]:
    """A launcher that puts the daemon into an empty network namespace, where that is allowed."""
    for launcher in (("unshare", "--net"), ("unshare", "--user", "--map-current-user", "--net")):
        if (
            shutil.which("unshare")
            and subprocess.run([*launcher, "true"], check=False).returncode == 0
        ):
            return launcher
    return ()


@pytest.fixture
def stage(tmp_path: Path, default_model: Path) -> Iterator[Stage]:
    chosen = Stage(tmp_path, own_network())
    yield chosen
    chosen.close()


def test_a_watched_folder_survives_a_kill_and_gives_a_checked_workbook(
    stage: Stage, tmp_path: Path, samples: Path
) -> None:
    inbox, results = tmp_path / "inbox", tmp_path / "results"
    inbox.mkdir()
    stage.start()
    watch = stage.cli("watch", "add", str(inbox), "invoices", "--output", str(results))
    for name in CHOSEN:
        shutil.copyfile(samples / "invoices" / name, inbox / name)
    (inbox / "broken.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    (inbox / "copy of the first.pdf").write_bytes((inbox / CHOSEN[0]).read_bytes())
    run = wait_for(lambda: stage.client.get("/v1/runs")["runs"], 60, stage.log())[0]["id"]

    def first_done() -> Any:
        detail = stage.client.get(f"/v1/runs/{run}")
        return detail if detail["counts"].get("done") else None

    before = wait_for(first_done, 240, "no document was finished")
    stage.kill()
    done_before = {a["id"]: a for a in before["agents"] if a["state"] == "done"}
    stage.start()

    def finished() -> Any:
        detail = stage.client.get(f"/v1/runs/{run}")
        return detail if detail["state"] == "finished" else None

    detail = wait_for(finished, 280, stage.log())
    runs = stage.cli("runs", "list")
    assert [item["id"] for item in runs] == [run]
    assert detail["counts"] == {"done": 3, "failed": 1}
    for agent in detail["agents"]:
        if agent["id"] in done_before:
            assert agent["usage"] == done_before[agent["id"]]["usage"]

    by_name = {agent["name"]: agent for agent in detail["agents"]}
    assert by_name["broken.pdf"]["failure"]["reason"] == "damaged"
    truth = json.loads((samples / "truth.json").read_text(encoding="utf-8"))
    for name in CHOSEN:
        key = name if name in by_name else "copy of the first.pdf"
        values = {value["name"]: value for value in by_name[key]["values"]}
        for field in CHECKED:
            assert values[field]["value"] == truth[f"invoices/{name}"][field], (name, field)
            assert values[field]["status"] in ("grounded", "derived"), (name, field)
    # The instruction in the third invoice had no effect on its total nor on any file.
    assert len(list(inbox.iterdir())) == 5

    workbook, beside = (Path(path) for path in sorted(detail["deliverables"], reverse=True))
    assert workbook.suffix == ".xlsx"
    assert json.loads(beside.read_text(encoding="utf-8"))["run"]
    book = openpyxl.load_workbook(workbook)
    assert book.sheetnames[0] == "Results"
    text = "\n".join(
        str(cell.value) for sheet in book for row in sheet.iter_rows() for cell in row if cell.value
    )
    assert "broken.pdf" in text
    assert "qwen2.5-coder-1.5b" in text
    assert sum(sheet.max_row for sheet in book if sheet.title == "Results") >= 4

    verified = stage.cli("audit", "verify")
    assert verified["ok"]
    actions = [record["action"] for record in stage.cli("audit", "show", "--limit", "500")]
    assert {"policy.read_file", "model.call", "file.write", "run.finish"} <= set(actions)
    assert actions.count("file.write") == len(detail["deliverables"])
    assert actions.count("daemon.start") == 2
    assert_no_traffic(stage)
    assert stage.cli("watch", "remove", watch["id"])["id"] == watch["id"]
    assert stage.stop() == 0


def assert_no_traffic(stage: Stage) -> None:
    """Nothing in the daemon's network namespace has tried to send anything anywhere."""
    if not own_network():
        pytest.skip("this system does not allow a network namespace")
    counters: dict[str, dict[str, int]] = {}
    lines = Path(f"/proc/{stage.pid}/net/snmp").read_text().splitlines()
    for names, numbers in zip(lines[::2], lines[1::2], strict=True):
        group, _, rest = names.partition(": ")
        values = numbers.partition(": ")[2].split()
        counters[group] = dict(zip(rest.split(), map(int, values), strict=True))
    assert counters["Ip"]["OutRequests"] == 0
    assert counters["Ip"]["OutNoRoutes"] == 0
    assert counters["Tcp"]["ActiveOpens"] == 0
    assert counters["Udp"]["OutDatagrams"] == 0


def test_the_traffic_counters_would_show_an_attempt() -> None:
    """The proof above is worth something only if an attempt is counted."""
    launcher = own_network()
    if not launcher:
        pytest.skip("this system does not allow a network namespace")
    script = (
        "import socket\n"
        "try: socket.create_connection(('192.0.2.1', 80), 1)\n"
        "except OSError: pass\n"
        "print(open('/proc/self/net/snmp').read())"
    )
    done = subprocess.run(
        [*launcher, "python3", "-c", script], capture_output=True, text=True, check=True
    )
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("Ip:")]
    counters = dict(zip(lines[0][1:], map(int, lines[1][1:]), strict=True))
    assert counters["OutNoRoutes"] > 0 or counters["OutRequests"] > 0
