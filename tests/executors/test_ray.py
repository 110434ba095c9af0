"""Reading and checking on a real Ray cluster of several nodes, one of which dies meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.executors.cluster import LocalCluster, make_certificates
from tests.swarm.scripted import NoMover, World, plan

from hivekeep.daemon.changes import Changes
from hivekeep.daemon.cluster import load_cluster
from hivekeep.documents import ReaderPool, file_sha256
from hivekeep.domain.actions import Action, ActionKind
from hivekeep.domain.documents import Document, ReadLimits
from hivekeep.domain.errors import ConfigError, DocumentError, HivekeepError
from hivekeep.domain.fields import Plan
from hivekeep.domain.runs import InputFile, RunState, TriggerKind
from hivekeep.domain.values import DocumentResult
from hivekeep.journal import KEY_BYTES, Journal, encode
from hivekeep.swarm.answers import Answer
from hivekeep.swarm.coordinator import Coordinator
from hivekeep.swarm.events import Kind, RunRecord, RunRequest
from hivekeep.swarm.executors import ClusterSettings
from hivekeep.swarm.executors.ray_cluster import RayExecutor
from hivekeep.swarm.ports import Executor, Limits, Ports
from hivekeep.swarm.verification import Context

pytestmark = pytest.mark.anyio
DOCUMENTS = 16


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class RecordingWorld(World):
    """A world that remembers what policy was asked."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.asked: list[Action] = []

    async def require(self, action: Action, *, run: str, agent: str) -> str:
        """Gate."""
        self.asked.append(action)
        return await super().require(action, run=run, agent=agent)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """Invoices, one file that is not what its name says, and two that say the same."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    for number in range(DOCUMENTS - 1):
        text = f"Number A-{min(number, DOCUMENTS - 3)}\nTotal {number}.00\n" * 20
        (folder / f"{number}.txt").write_text(text)
    (folder / f"{DOCUMENTS - 1}.pdf").write_bytes(b"%PDF-1.7 nothing follows")
    return folder


def prepare(folder: Path, inbox: Path) -> tuple[InputFile, ...]:
    """Make ``folder``; the documents of ``inbox`` as they are now."""
    folder.mkdir()
    return tuple(InputFile(str(path), *file_sha256(path)) for path in sorted(inbox.iterdir()))


async def process(
    folder: Path, inbox: Path, executor: str, world: World, ray: Executor | None,
    after: int = -1, then: Any = None,
) -> RunRecord:  # fmt: skip
    """A run over ``inbox``; ``then`` is called once ``after`` documents have ended."""
    changes, inputs = Changes(), prepare(folder, inbox)
    world.answers = {
        f"{n + 1:04d}": json.dumps({"number": f"A-{n}", "total": f"{n}.00"})
        for n in range(len(inputs))
    }
    async with ReaderPool(ReadLimits()) as readers:
        with Journal(folder / "j.db", key=bytes(KEY_BYTES), clock=lambda: 1.0) as journal:
            ports = Ports(
                reader=readers, engine=world, gate=world, publisher=world, mover=NoMover(),
                monotonic=time.monotonic, new_id=lambda: "run1",
                observe=lambda _event: changes.notify(), executors={"ray": ray} if ray else {},
            )  # fmt: skip
            chosen = Coordinator(journal, ports, Limits())
            request = RunRequest(
                plan(), inputs, "Test", TriggerKind.COMMAND, output=str(folder), executor=executor
            )
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(chosen.serve)
                await anyio.wait_all_tasks_blocked()
                record = await chosen.submit(request)
                while not record.state.ended:
                    since = changes.version
                    ended = sum(agent.state.ended for agent in record.agents.values())
                    if then is not None and ended >= after:
                        await anyio.to_thread.run_sync(then)
                        then = None
                    if record.state.ended:
                        break
                    await changes.wait(since, at_most=5)
                tasks.cancel_scope.cancel()
            done = Counter(
                (event.agent, event.payload["key"])
                for event in journal.events(kinds=[Kind.STEP_DONE])
            )
            assert set(done.values()) <= {1}
    return record


def outcomes(record: RunRecord) -> list[Any]:
    return [
        (
            encode(agent.result) if agent.result else None,
            agent.failure.reason if agent.failure else "",
        )
        for agent in record.agents.values()
    ]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    folder = tmp_path / "cluster"
    folder.mkdir()
    chosen = LocalCluster(folder)
    yield chosen
    chosen.close()


@pytest.mark.timeout(600)
async def test_a_node_that_dies_takes_no_document_along(
    cluster: LocalCluster, inbox: Path, tmp_path: Path
) -> None:
    ray = RayExecutor(cluster.settings)
    world = RecordingWorld()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ray.serve)
        there = await process(
            tmp_path / "there", inbox, "ray", world, ray, after=1, then=cluster.kill_node
        )
        with pytest.raises(DocumentError, match="changed"):
            await ray.read(inbox / "0.txt", expected_sha256="00" * 32)
        tasks.cancel_scope.cancel()
    here = await process(tmp_path / "here", inbox, "", World(), None)
    assert there.state is RunState.FINISHED
    assert outcomes(there) == outcomes(here)
    assert Counter(agent.state.value for agent in there.agents.values()) == {
        "done": DOCUMENTS - 1, "failed": 1,
    }  # fmt: skip
    travelled = [action for action in world.asked if action.kind is ActionKind.RAY_CLUSTER]
    assert {action.host for action in travelled} == {cluster.settings.address}
    inputs = there.request.inputs
    assert {action.path for action in travelled} == {each.path for each in inputs}


class Nowhere:
    """A cluster that must get nothing."""

    cluster = "cluster.example:6379"

    async def read(self, path: Path, *, expected_sha256: str = "") -> Document:
        """Never."""
        raise AssertionError(path)

    async def check(
        self, plan: Plan, document: Document, first: Answer, second: Answer | None = None,
        *, context: Context | None = None,
    ) -> DocumentResult:  # fmt: skip
        """Never."""
        raise AssertionError(first)


async def test_no_document_travels_that_policy_keeps_here(inbox: Path, tmp_path: Path) -> None:
    world = RecordingWorld(denied={ActionKind.RAY_CLUSTER})
    record = await process(tmp_path / "run", inbox, "ray", world, Nowhere())
    assert {reason for _, reason in outcomes(record)} == {"policy_denied"}


async def test_an_executor_that_is_not_set_up_is_an_error(inbox: Path, tmp_path: Path) -> None:
    record = await process(tmp_path / "run", inbox, "ray", World(), None)
    assert record.state is RunState.FAILED
    assert record.error is not None
    assert "not set up" in record.error["what"]


async def test_a_cluster_that_is_not_there_is_said_in_time(inbox: Path, tmp_path: Path) -> None:
    make_certificates(tmp_path)
    (tmp_path / "token").write_text("ab" * 32)
    settings = ClusterSettings(
        "127.0.0.1:1", str(tmp_path / "token"),
        *(str(tmp_path / name) for name in ("ca.pem", "node.pem", "node.key")),
    )  # fmt: skip
    ray = RayExecutor(settings, connect_seconds=3.0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ray.serve)
        with pytest.raises(HivekeepError, match="did not do this work"):
            await ray.read(inbox / "0.txt")
        tasks.cancel_scope.cancel()


def test_ray_is_told_to_report_nothing_and_to_trust_nobody(tmp_path: Path) -> None:
    settings = ClusterSettings("host:6379", "/t", "/ca", "/cert", "/key")
    environment = settings.environment()
    assert environment["RAY_AUTH_MODE"] == "token"
    assert environment["RAY_USE_TLS"] == "1"
    script = (
        "from ray._common.usage.usage_lib import usage_stats_enabled\nprint(usage_stats_enabled())"
    )
    # Asked without the certificates, which are not there.
    reports = {"RAY_USAGE_STATS_ENABLED": environment["RAY_USAGE_STATS_ENABLED"]}
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, **reports},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split()[-1] == "False"
    assert replace(settings, address="ray://host:10001").cluster == "host:10001"


def test_settings_need_a_token_and_certificates(tmp_path: Path) -> None:
    path = tmp_path / "cluster.json"
    assert load_cluster(path) is None
    make_certificates(tmp_path)
    wanted = {
        "address": "10.0.0.5:6379", "token_file": str(tmp_path / "token"),
        "ca": str(tmp_path / "ca.pem"), "certificate": str(tmp_path / "node.pem"),
        "key": str(tmp_path / "node.key"),
    }  # fmt: skip
    path.write_text(json.dumps(wanted))
    with pytest.raises(ConfigError, match="token"):
        load_cluster(path)
    (tmp_path / "token").write_text("x")
    found = load_cluster(path)
    assert found is not None
    assert found.cluster == "10.0.0.5:6379"
    for broken in ({**wanted, "adress": "x"}, {**wanted, "address": "no port"}, {"address": "h:1"}):
        path.write_text(json.dumps(broken))
        with pytest.raises(ConfigError, match=r"cluster\.json"):
            load_cluster(path)
