"""The real window on a virtual screen: files, clipboard, drag and drop, two windows, crashes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.e2e.desktop import (
    HAS_SCREEN,
    RECIPE,
    SOURCE,
    Icon,
    Screen,
    asking,
    drag_source,
    end_windows,
    interface,
    policy,
    run_of,
    runs,
    settings,
    window_processes,
)
from tests.e2e.panel import Panel
from tests.e2e.stage import Stage, started, wait_for
from tests.e2e.test_approvals import ask, pending

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.model,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not HAS_SCREEN, reason="there is no virtual screen"),
]
TEXT = "Invoice number: INV-2026-77\nTotal: EUR 12.00\n"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, small_model: Path) -> Iterator[Stage]:
    quiet = {"language": "en", "recipe": "tiny", "popup": False, "welcomed": True}
    folder = tmp_path_factory.mktemp("window")
    with started(folder, interface=quiet, recipes={"tiny": RECIPE}) as chosen:
        yield chosen


@pytest.fixture
def env(screen: Screen, stage: Stage, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a window that notes what it shows; no window is left afterwards."""
    yield {**screen.env, "HIVEKEEP_UI_SHOWN": str(tmp_path / "shown.jsonl")}
    end_windows(stage)
    wait_for(lambda: not screen.windows("Hivekeep$"), 60, "a window stays without its process")


def shown(env: dict[str, str]) -> list[str]:
    """Which questions have been on the screen, in order."""
    notes = Path(env["HIVEKEEP_UI_SHOWN"])
    return (
        [json.loads(line)["id"] for line in notes.read_text().splitlines()]
        if notes.exists()
        else []
    )


def clipboard(screen: Screen, content: bytes, *kind: str) -> subprocess.Popen[bytes]:
    """A program that owns the clipboard."""
    owner = subprocess.Popen(
        ["xclip", "-selection", "clipboard", "-quiet", *kind], stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL, env={**os.environ, **screen.env},
    )  # fmt: skip
    assert owner.stdin is not None
    owner.stdin.write(content)
    owner.stdin.close()
    wait_for(
        lambda: screen.ask("xclip", "-selection", "clipboard", "-o", "-t", "TARGETS"), 30,
        "the clipboard has no owner",
    )  # fmt: skip
    return owner


def test_a_question_comes_up_by_itself_and_keys_answer_it(
    stage: Stage, screen: Screen, env: dict[str, str], tmp_path: Path
) -> None:
    settings(stage, popup=True)
    session = Panel()
    icon = Icon(stage, session, env)
    try:
        with asking(stage):
            asked, item = ask(stage, tmp_path / "window yes")
            wait_for(lambda: shown(env) == [item["id"]], 120, "nothing is shown")
            screen.focus("^Approval needed", "no window")

            def press(key: str) -> bool:
                screen.key(key)
                return pending(stage) == []

            wait_for(lambda: press("alt+a"), 60, "the key does not approve")
            asked.join(60)
            assert asked.result["folder"] == str(tmp_path / "window yes")
            assert stage.client.get(f"/v1/approvals/{item['id']}")["verdict"]["via"] == "popup"

            # The same process shows the next question, after it has hidden as well.
            wait_for(lambda: not screen.windows("^Approval"), 60, "the popup stays")
            refused, second = ask(stage, tmp_path / "window no")
            wait_for(lambda: shown(env) == [item["id"], second["id"]], 120, "the second is missing")
            screen.focus("^Approval needed", "no window")
            wait_for(lambda: press("alt+d"), 60, "the key does not deny")
            refused.join(60)
            assert refused.error is not None
            assert len(window_processes(stage)) == 1
    finally:
        settings(stage, popup=False)
        icon.close()
        session.close()


def test_process_files_opens_the_dialog_each_time_and_runs_the_file_where_it_is(
    stage: Stage, screen: Screen, env: dict[str, str], tmp_path: Path
) -> None:
    document = tmp_path / "letter one.txt"
    document.write_text(TEXT)
    interface(stage, "open", "--place", "home/files", env=env)
    screen.focus("^Open files$", "the dialog does not open")
    screen.type(str(document))
    run = run_of(stage, document.name)
    assert run["agents"][0]["path"] == str(document)
    wait_for(lambda: screen.windows("^Runs"), 60, "the run is not shown")

    before = len(runs(stage))
    for _ in range(2):
        again = interface(stage, "open", "--place", "home/files", env=env)
        assert again.wait(120) == 0
        screen.focus("^Open files$", "the dialog does not open again")
        screen.key("Escape")
        wait_for(lambda: not screen.windows("^Open files$"), 60, "the dialog stays")
    assert len(runs(stage)) == before


@pytest.mark.parametrize(("name", "height"), [("on the place.txt", 200), ("beside it.txt", 600)])
def test_a_file_that_is_dragged_into_the_window_is_processed(
    stage: Stage, screen: Screen, env: dict[str, str], tmp_path: Path, name: str, height: int
) -> None:
    document = tmp_path / name
    document.write_text(TEXT)
    interface(stage, "open", "--page", "dashboard", env=env)
    screen.focus("^Home", "no window")
    with drag_source(screen, document):
        screen.move("^Home", 200, 0)
        screen.move(SOURCE, 0, 700)
        screen.focus(SOURCE, "nothing to drag")
        left, top, width, _ = screen.place("^Home")
        from_left, from_top, *_ = screen.place(SOURCE)

        def dropped() -> bool:
            if len(runs(stage)) == before:
                screen.drag((from_left + 80, from_top + 80), (left + width // 2, top + height))
            return len(runs(stage)) > before

        before = len(runs(stage))
        wait_for(dropped, 60, "nothing was dropped")
    run = run_of(stage, name)
    taken = Path(run["agents"][0]["path"])
    assert taken.read_text() == TEXT
    assert taken != document  # a page gets content, not paths
    assert document.read_text() == TEXT
    assert len(runs(stage)) == before + 1


@pytest.mark.skipif(not shutil.which("xclip"), reason="xclip is not installed")
def test_process_clipboard_takes_text_and_pictures_and_obeys_policy(
    stage: Stage, screen: Screen, env: dict[str, str], samples: Path
) -> None:
    owner = clipboard(screen, TEXT.encode())
    interface(stage, "open", "--place", "home/clipboard", env=env)
    run = run_of(stage, "clipboard.txt")
    assert Path(run["agents"][0]["path"]).read_text() == TEXT
    owner.kill()
    owner.wait()

    picture = (samples / "invoices" / "scan-invoice-oakridge.png").read_bytes()
    owner = clipboard(screen, picture, "-t", "image/png")
    assert interface(stage, "open", "--place", "home/clipboard", env=env).wait(120) == 0
    run = run_of(stage, "clipboard.png")
    assert Path(run["agents"][0]["path"]).read_bytes().startswith(b"\x89PNG")
    stage.client.post(f"/v1/runs/{run['id']}/cancel")

    before = len(runs(stage))
    with policy(stage, desktop={"clipboard": "deny"}):
        assert interface(stage, "open", "--place", "home/clipboard", env=env).wait(120) == 0

        def outcomes() -> list[str]:
            records = stage.cli("audit", "show", "--limit", "60")
            return [r["outcome"] for r in records if r["action"] == "policy.clipboard"]

        wait_for(lambda: "denied" in outcomes(), 60, "policy was not asked")
        assert sorted(outcomes()) == ["allowed", "allowed", "denied"]
        assert len(runs(stage)) == before
    owner.kill()
    owner.wait()


def test_a_question_opens_beside_what_is_open(
    stage: Stage, screen: Screen, env: dict[str, str], tmp_path: Path
) -> None:
    with asking(stage):
        interface(stage, "open", "--place", "recipes/new", env=env)
        screen.focus("^Recipes", "no window")
        asked, item = ask(stage, tmp_path / "beside")
        assert interface(stage, "open", "--page", "popup", env=env).wait(120) == 0
        screen.focus("^Approval needed", "no popup")
        assert screen.windows("^Recipes")
        assert len(window_processes(stage)) == 1
        wait_for(lambda: shown(env) == [item["id"]], 60, "the question is not shown")

        def denied() -> bool:
            screen.key("alt+d")
            return pending(stage) == []

        wait_for(denied, 60, "the key does not deny")
        asked.join(60)
        screen.key("Escape")
        wait_for(lambda: not screen.windows("^Approval"), 60, "the popup stays")
        assert screen.windows("^Recipes")


def test_windows_that_start_at_once_become_one(
    stage: Stage, screen: Screen, env: dict[str, str]
) -> None:
    started = [interface(stage, "open", "--place", "home", env=env) for _ in range(3)]
    screen.focus("^Home", "no window")
    wait_for(
        lambda: sum(one.poll() is None for one in started) == 1, 120, "there are several windows"
    )
    assert [one.poll() for one in started if one.poll() is not None] == [0, 0]
    assert len(screen.windows("^Home")) == 1


def test_a_page_whose_renderer_dies_and_a_window_that_is_killed_come_back(
    stage: Stage, screen: Screen, env: dict[str, str], tmp_path: Path
) -> None:
    with asking(stage):
        asked, item = ask(stage, tmp_path / "crash")
        window = interface(stage, "open", "--page", "popup", env=env)
        wait_for(lambda: shown(env) == [item["id"]], 120, "nothing is shown")
        # Chromium's zygotes have one thread, and with no graphics process all others draw pages.
        for child in psutil.Process(window.pid).children(recursive=True):
            if child.num_threads() > 1:
                child.kill()
        wait_for(lambda: shown(env) == [item["id"]] * 2, 60, "the page does not come back")

        window.kill()
        window.wait()
        assert [one["id"] for one in pending(stage)] == [item["id"]]
        interface(stage, "open", "--page", "popup", env=env)
        wait_for(lambda: shown(env) == [item["id"]] * 3, 120, "the window does not come back")
        stage.cli("approvals", "deny", item["id"])
        asked.join(60)


def test_what_a_person_reads_stays_when_another_question_comes(
    stage: Stage, screen: Screen, env: dict[str, str], tmp_path: Path
) -> None:
    from tests.e2e.test_approvals import Asked

    with asking(stage):
        first, item = ask(stage, tmp_path / "first")
        interface(stage, "open", "--page", "popup", env=env)
        wait_for(lambda: shown(env) == [item["id"]], 120, "nothing is shown")
        (tmp_path / "second").mkdir()
        second = Asked(stage, tmp_path / "second")
        wait_for(lambda: len(pending(stage)) == 2, 60, "nothing was asked")
        # What the tray does by itself: without naming a question.
        assert interface(stage, "open", "--page", "popup", env=env).wait(120) == 0
        screen.focus("^Approval needed", "no popup")

        def approved() -> bool:
            screen.key("alt+a")
            return len(pending(stage)) < 2

        wait_for(approved, 60, "the key does not approve")
        first.join(60)
        assert first.result["folder"] == str(tmp_path / "first")
        (left,) = pending(stage)
        stage.cli("approvals", "deny", left["id"])
        second.join(60)
        assert second.error is not None
