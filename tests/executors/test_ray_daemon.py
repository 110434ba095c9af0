"""A run on a Ray cluster through the real daemon, with its inference on a server: all by CLI.

Slow: it starts a cluster of a head and two nodes, llama.cpp's server and a daemon.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.stage import Stage, wait_for
from tests.executors.cluster import LocalCluster
from tests.llama_server import KEY, llama_server

pytestmark = [pytest.mark.e2e, pytest.mark.model, pytest.mark.timeout(1200)]
DOCUMENTS = 8
RECIPE = """\
name: notes
title: Notes
version: "1"
description: A number and what the note says.
kind: extract
instructions: You read notes.
max_tokens: 60
fields:
  - {name: number, type: identifier, title: Number, description: number of the note}
  - {name: gist, type: prose, title: Gist, description: one short sentence, max_length: 120}
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    folder = tmp_path / "cluster"
    folder.mkdir()
    chosen = LocalCluster(folder)
    yield chosen
    chosen.close()


@pytest.fixture
def server(small_model: Path) -> Iterator[str]:
    with llama_server(small_model, parallel=2) as started:
        yield started


@pytest.fixture
def stage(tmp_path: Path, cluster: LocalCluster, server: str) -> Iterator[Stage]:
    chosen = Stage(tmp_path)
    chosen.profile.create()
    settings = cluster.settings
    (chosen.profile.root / "cluster.json").write_text(
        json.dumps(
            {"address": settings.address, "token_file": settings.token_file, "ca": settings.ca,
             "certificate": settings.certificate, "key": settings.key}
        )
    )  # fmt: skip
    policy = {
        "network": {
            "ray_clusters": [settings.address], "allowed_hosts": ["127.0.0.1"],
            "remote_inference": [server],
        }
    }  # fmt: skip
    (chosen.profile.root / "policy.json").write_text(json.dumps(policy))
    chosen.start()
    yield chosen
    chosen.close()


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    for number in range(DOCUMENTS):
        text = f"Note\nNumber: N-{number:03d}\nThe meeting is on day {number}.\n" * 30
        (folder / f"{number:02d}.txt").write_text(text)
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 nothing follows")
    return folder


def begin(stage: Stage, recipe: Path, inbox: Path, output: Path, *more: str) -> str:
    run = stage.cli(
        "run", str(recipe), str(inbox), "-o", str(output), "--model", "server", "--no-wait", *more
    )
    return str(run["id"])


def ended(stage: Stage, run: str) -> Any:
    def rest() -> Any:
        detail = stage.client.get(f"/v1/runs/{run}")
        return detail if detail["state"] in ("finished", "failed") else None

    return wait_for(rest, 900, stage.log())


def numbers(detail: dict[str, Any]) -> dict[str, Any]:
    """What each document gave, without the model's own words."""
    found = {}
    for agent in detail["agents"]:
        value = next((v for v in agent["values"] if v["name"] == "number"), None)
        found[agent["name"]] = (
            (value["value"], value["status"]) if value else agent["failure"]["reason"]
        )
    return found


def test_a_run_by_cli_on_a_cluster_that_loses_a_node_gives_what_it_gives_here(
    stage: Stage, cluster: LocalCluster, server: str, inbox: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "notes.yaml"
    recipe.write_text(RECIPE)
    key = subprocess.run(
        [*_hivekeep(stage), "models", "remote", "add", "server", f"{server}/v1",
         "--model", "any", "--key"],
        input=f"{KEY}\n", capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert key.returncode == 0, key.stdout + key.stderr
    there = begin(stage, recipe, inbox, tmp_path / "there", "--executor", "ray")

    def some() -> bool:
        done: int = stage.client.get(f"/v1/runs/{there}")["counts"].get("done", 0)
        return 1 <= done < DOCUMENTS

    wait_for(some, 600, stage.log())
    cluster.kill_node()
    detail = ended(stage, there)
    assert detail["state"] == "finished", detail["error"]
    assert detail["counts"] == {"done": DOCUMENTS, "failed": 1}
    assert numbers(detail)["00.txt"] == ("N-000", "grounded")
    assert numbers(detail)["broken.pdf"] == "damaged"
    here = ended(stage, begin(stage, recipe, inbox, tmp_path / "here"))
    assert numbers(detail) == numbers(here)
    # Each document's journey was decided and recorded, and so was each question to the server.
    found = stage.cli("audit", "search", f"job={there}", "--limit", "1000")
    actions = [record["action"] for record in found]
    assert actions.count("policy.ray_cluster") >= 2 * DOCUMENTS
    assert actions.count("model.call") >= DOCUMENTS
    assert stage.cli("audit", "verify")["ok"]


def _hivekeep(stage: Stage) -> list[str]:
    return [sys.executable, "-m", "hivekeep.cli.main", "--profile", str(stage.profile.root)]
