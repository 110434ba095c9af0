"""The tray's process in a panel: what it shows, what its menu and its notifications do."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from PIL import Image
from tests.e2e.desktop import (
    HAS_SCREEN,
    RECIPE,
    Icon,
    Screen,
    asking,
    drag_source,
    end_windows,
    finished,
    interface,
    policy,
    run_of,
    settings,
)
from tests.e2e.drag_source import GREEN
from tests.e2e.panel import PORTAL, WATCHER, Panel
from tests.e2e.stage import Stage, started, wait_for
from tests.e2e.test_approvals import ask, pending

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.model,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not shutil.which("dbus-daemon"), reason="D-Bus is not installed"),
]
needs_screen = pytest.mark.skipif(not HAS_SCREEN, reason="there is no virtual screen")
TEXT = "Invoice number: INV-2026-77\nTotal: EUR 12.00\n"
PROGRAMS = ("inode/directory", "text/plain", "application/json", "application/octet-stream",
            "application/zip",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")  # fmt: skip


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, small_model: Path) -> Iterator[Stage]:
    with started(tmp_path_factory.mktemp("tray"), recipes={"tiny": RECIPE}) as chosen:
        yield chosen


@pytest.fixture(autouse=True)
def usual(stage: Stage) -> None:
    settings(stage, popup=False, welcomed=True, do_not_disturb=False, notifications=True,
             quiet_from="", quiet_to="")  # fmt: skip


@pytest.fixture
def panel() -> Iterator[Panel]:
    chosen = Panel()
    yield chosen
    chosen.close()


@pytest.fixture
def icon(stage: Stage, panel: Panel, home: Path) -> Iterator[Icon]:
    chosen = Icon(stage, panel, at_home(home))
    chosen.shows("Active", "idle")
    yield chosen
    chosen.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home where double clicks are noted in the file ``opened``."""
    chosen = tmp_path / "home"
    programs = chosen / ".local" / "share" / "applications"
    programs.mkdir(parents=True)
    viewer = chosen / "viewer"
    viewer.write_text(f"#!/bin/sh\necho \"$1\" >> '{chosen}/opened'\n")
    viewer.chmod(0o755)
    (programs / "viewer.desktop").write_text(
        f"[Desktop Entry]\nType=Application\nName=Viewer\nExec={viewer} %f\n"
    )
    lines = "\n".join(f"{kind}=viewer.desktop" for kind in PROGRAMS)
    (chosen / ".config").mkdir()
    (chosen / ".config" / "mimeapps.list").write_text(f"[Default Applications]\n{lines}\n")
    return chosen


def at_home(home: Path) -> dict[str, str]:
    """The environment of a session in ``home``; xdg-open wants a display's name, not a display."""
    return {
        "HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local" / "share"), "XDG_CURRENT_DESKTOP": "",
        "DISPLAY": ":none",
    }  # fmt: skip


def opened(home: Path, path: Path) -> None:
    """Wait until ``path`` was opened."""
    notes = home / "opened"
    wait_for(
        lambda: notes.exists() and str(path) in notes.read_text().splitlines(), 60,
        f"{path} is not opened",
    )  # fmt: skip


needs_opener = pytest.mark.skipif(not shutil.which("xdg-open"), reason="xdg-open is not installed")


def test_the_icon_asks_acts_and_outlives_the_daemon(
    stage: Stage, icon: Icon, panel: Panel, tmp_path: Path
) -> None:
    shown = icon.shows("Active", "idle")
    assert {width for width, _, _ in shown["IconPixmap"]} >= {16, 22, 48, 64}
    assert all(len(data) == 4 * w * h for w, h, data in shown["IconPixmap"])

    with asking(stage):
        asked, question = ask(stage, tmp_path / "tray & <b>")
        icon.shows("NeedsAttention", "1 waiting")
        assert "Approvals (1)" in panel.menu(icon.item)
        notice = panel.notice()
        assert notice["title"] == "Approval needed"
        panel.press(notice, "Deny")
        asked.join(120)
        assert asked.error is not None
    answered = stage.client.get(f"/v1/approvals/{question['id']}")
    assert answered["verdict"]["via"] == "notification"
    icon.shows("Active", "idle")

    stage.kill()
    icon.shows("NeedsAttention", "does not answer")
    stage.start()
    icon.shows("Active", "idle")
    icon.click("Quit")
    assert icon.process.wait(60) == 0


@needs_screen
@pytest.mark.skipif(not shutil.which("trayer"), reason="trayer is not installed")
def test_the_icon_is_in_a_tray_of_the_older_kind_and_its_menu_acts(
    stage: Stage, screen: Screen, home: Path, tmp_path: Path
) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "gi").symlink_to("/usr/lib/python3/dist-packages/gi")
    session = Panel(names=())
    env = {
        **at_home(home), **screen.env, "PYTHONPATH": str(packages),
        "DBUS_SESSION_BUS_ADDRESS": session.address, "NO_AT_BRIDGE": "1",
    }  # fmt: skip
    whole = {**os.environ, **env}
    probe = "import gi; gi.require_version('Gtk', '3.0'); from gi.repository import Gtk"
    if subprocess.run([sys.executable, "-c", probe], env=whole, check=False).returncode:
        pytest.skip("GTK for this Python is not installed")
    host = subprocess.Popen(
        ["trayer", "--edge", "top", "--align", "right", "--widthtype", "request", "--height", "32",
         "--SetDockType", "true", "--expand", "true"],
        env=whole,
    )  # fmt: skip
    tray = None
    try:
        wait_for(lambda: screen.xdo("search", "--class", "trayer"), 60, "there is no tray")
        tray = interface(stage, "tray", env=env)
        icon = wait_for(lambda: screen.windows("hivekeep"), 120, "no icon")[-1]
        windows = len(screen.windows())

        def opened() -> bool:
            screen.xdo("mousemove", "--window", icon, "8", "8", "click", "3")
            return len(screen.windows()) > windows

        wait_for(opened, 60, "the menu does not open")
        # The menu's last line is Quit; going up from nothing leads to the last.
        screen.key("Up", "Return")
        assert tray.wait(60) == 0
    finally:
        for process in (tray, host):
            if process is not None:
                process.kill()
                process.wait()
        session.close()


@needs_opener
def test_recent_results_open_as_file_folder_and_values(
    stage: Stage, icon: Icon, panel: Panel, home: Path, tmp_path: Path
) -> None:
    document = tmp_path / "a letter.txt"
    document.write_text(TEXT)
    body = {"recipe": "tiny", "paths": [str(document)], "output": str(tmp_path / "results")}
    run = finished(stage, stage.client.post("/v1/runs", body)["id"])
    result = Path(run["deliverables"][0])
    icon.click(f"Open {result.name}".replace("_", "__"))
    opened(home, result)
    icon.click("Open folder")
    opened(home, result.parent)

    notice = panel.notice()
    assert notice["title"] == f"Finished: {run['title']}"
    (home / "opened").unlink()
    panel.press(notice, "Open file")
    opened(home, result)

    result.unlink()
    icon.click(f"Open {result.name}".replace("_", "__"))
    notice = panel.notice()
    assert (notice["title"], str(result) in notice["text"]) == ("That did not work", True)


@needs_opener
def test_the_drop_folder_opens_and_what_is_put_into_it_is_processed(
    stage: Stage, icon: Icon, home: Path
) -> None:
    icon.click("Drop folder")
    folder = home / "Hivekeep"
    opened(home, folder)
    (folder / "put here.txt").write_text(TEXT)
    run = run_of(stage, "put here.txt")
    finished(stage, run["id"])
    # A second click watches nothing twice, and "Run now" has the folder.
    (home / "opened").unlink()
    icon.click("Drop folder")
    opened(home, folder)
    watches = stage.client.get("/v1/watches")["watches"]
    assert [one["folder"] for one in watches] == [str(folder)]
    assert icon.line(str(folder)[:10])
    for one in watches:
        stage.client._call("DELETE", f"/v1/watches/{one['id']}")
    icon.line("No folder is watched")


@needs_screen
def test_a_screenshot_of_the_screen_is_processed(
    stage: Stage, panel: Panel, screen: Screen, home: Path
) -> None:
    icon = Icon(stage, panel, {**at_home(home), **screen.env})
    try:
        with drag_source(screen, home):
            icon.click("Process screenshot")
            picture = wait_for(lambda: inbox(stage, "screenshot-*.png"), 60, "no picture")[0]
            run = run_of(stage, picture.name)  # it was begun with the picture as it is then
        stage.client.post(f"/v1/runs/{run['id']}/cancel")
        with Image.open(picture) as taken:
            assert taken.size == (1400, 1000)
            pixels = taken.convert("RGB").tobytes()
        assert pixels.count(bytes(GREEN)) > 10_000
        # Its run is shown.
        wait_for(lambda: screen.windows("^Runs"), 120, "the run is not shown")
    finally:
        icon.close()
        end_windows(stage)


def inbox(stage: Stage, pattern: str) -> list[Path]:
    return sorted((stage.profile.root / "inbox").glob(pattern))


@needs_screen
def test_under_wayland_the_portal_takes_the_screenshot(
    stage: Stage, screen: Screen, home: Path, tmp_path: Path
) -> None:
    portal = Panel(names=(WATCHER, PORTAL))
    taken = tmp_path / "chosen by the person.png"
    Image.new("RGB", (40, 30), (1, 2, 3)).save(taken)
    portal.screenshot = taken
    env = {**at_home(home), **screen.env, "WAYLAND_DISPLAY": "wayland-none"}
    icon = Icon(stage, portal, env)
    before = inbox(stage, "screenshot-*.png")
    try:
        icon.click("Process screenshot")
        (picture,) = wait_for(
            lambda: [p for p in inbox(stage, "screenshot-*.png") if p not in before], 60,
            "no picture",
        )  # fmt: skip
        run = run_of(stage, picture.name)
        stage.client.post(f"/v1/runs/{run['id']}/cancel")
        assert picture.read_bytes() == taken.read_bytes()
    finally:
        icon.close()
        portal.close()
        end_windows(stage)


def test_pause_for_each_time_holds_work_back_and_ends(stage: Stage, icon: Icon) -> None:
    times = {"15 minutes": 900, "1 hour": 3600, "4 hours": 14_400, "A day": 86_400}
    for words, seconds in times.items():
        icon.click(words)
        icon.shows("Active", "paused until")
        left = stage.client.get("/v1/overview")["paused_until"] - time.time()
        assert seconds - 120 < left <= seconds
        icon.click("End the pause")
        icon.shows("Active", "idle")
        icon.line(words)


def test_a_menu_line_keeps_its_id_and_gives_it_to_no_other(icon: Icon) -> None:
    before = icon.panel.menu(icon.item)
    icon.click("1 hour")
    icon.line("End the pause")
    during = icon.panel.menu(icon.item)
    assert during["Quit"] == before["Quit"]
    assert during["End the pause"] not in before.values()
    icon.click("End the pause")
    icon.line("1 hour")


def test_the_icon_comes_back_with_a_panel_that_crashed(icon: Icon, panel: Panel) -> None:
    panel.restart()
    assert panel.item() == icon.item
    icon.shows("Active", "idle")


def test_the_icon_is_drawn_for_the_colours_of_the_desktop(stage: Stage, home: Path) -> None:
    session = Panel(names=(WATCHER, PORTAL))
    icon = Icon(stage, session, at_home(home))
    try:
        dark = icon.shows("Active", "idle")["IconPixmap"]
        session.prefer(2)
        wait_for(
            lambda: session.properties(icon.item)["IconPixmap"] != dark, 60, "it stays as it was"
        )
        session.prefer(1)
        wait_for(
            lambda: session.properties(icon.item)["IconPixmap"] == dark, 60, "it does not go back"
        )
    finally:
        icon.close()
        session.close()


def test_questions_are_told_once_and_taken_back_when_answered(
    stage: Stage, icon: Icon, panel: Panel, tmp_path: Path
) -> None:
    from tests.e2e.test_approvals import Asked

    with asking(stage):
        first, _ = ask(stage, tmp_path / "told")
        notice = panel.notice()
        (tmp_path / "also").mkdir()
        second = Asked(stage, tmp_path / "also")
        again = panel.notice()
        # The second replaces the first instead of standing beside it.
        assert (again["id"], again["text"][:1]) == (notice["id"], "2")
        for one in pending(stage):
            stage.cli("approvals", "deny", one["id"])
        wait_for(panel.withdrawn.qsize, 60, "it is not taken back")
        assert panel.withdrawn.get_nowait() == notice["id"]
        first.join(60)
        second.join(60)
    assert panel.notices.empty()


@pytest.mark.parametrize("how", ["do not disturb", "quiet hours"])
def test_nothing_comes_up_in_quiet_and_what_waits_is_told_afterwards(
    stage: Stage, icon: Icon, panel: Panel, tmp_path: Path, how: str
) -> None:
    if how == "do not disturb":
        settings(stage, do_not_disturb=True)
    else:
        # All day but for one minute that is not now.
        settings(stage, quiet_from=clock(3600), quiet_to=clock(3600 - 60))
    with asking(stage):
        asked, item = ask(stage, tmp_path / "quiet")
        icon.shows("NeedsAttention", "1 waiting")
        assert "Approvals (1)" in panel.menu(icon.item)
        # One turn later the tray has certainly done with what the question meant to it.
        icon.click("15 minutes")
        icon.line("End the pause")
        icon.click("End the pause")
        icon.line("15 minutes")
        assert panel.notices.empty()
        settings(stage, do_not_disturb=False, quiet_from="", quiet_to="")
        notice = panel.notice()
        assert notice["title"] == "Approval needed"
        stage.cli("approvals", "deny", item["id"])
        asked.join(60)
    assert panel.notices.empty()


def clock(seconds: float) -> str:
    return time.strftime("%H:%M", time.localtime(time.time() + seconds))


def test_policy_hides_lines_and_keeps_names_out_of_notifications(
    stage: Stage, icon: Icon, panel: Panel, tmp_path: Path
) -> None:
    rules = {"hidden_tray_actions": ["screenshot", "drop_folder", "pause"],
             "notifications": "private"}  # fmt: skip
    document = tmp_path / "secret name.txt"
    document.write_text(TEXT)
    with policy(stage, desktop=rules):
        wait_for(lambda: "1 hour" not in panel.menu(icon.item), 60, "the lines stay")
        assert {"Process screenshot", "Drop folder"}.isdisjoint(panel.menu(icon.item))
        run = stage.client.post("/v1/runs", {"recipe": "tiny", "paths": [str(document)]})
        finished(stage, run["id"])
        notice = panel.notice()
        assert (notice["title"], notice["text"]) == ("Finished: a run", "1 document")
    icon.line("1 hour")


def test_an_audit_log_that_cannot_be_written_is_a_problem_that_the_icon_explains(
    stage: Stage, icon: Icon, panel: Panel
) -> None:
    # As if the disk were full.
    psutil.Process(stage.pid).rlimit(psutil.RLIMIT_FSIZE, (1, psutil.RLIM_INFINITY))
    from hivekeep.cli.client import ReportedError

    with pytest.raises(ReportedError):
        stage.client.post("/v1/desktop/clipboard")
    shown = icon.shows("NeedsAttention", "policy or audit problem")
    assert "audit log cannot be written" in shown["ToolTip"][2]
    icon.line("Problem: The audit log")
    notice = panel.notice()
    assert notice["title"] == "Hivekeep has a problem"
    assert "audit log" in notice["text"]
    stage.kill()
    icon.shows("NeedsAttention", "does not answer")
    stage.start()
    icon.shows("Active", "idle")


def test_a_daemon_that_cannot_start_leaves_an_icon_that_says_why(
    panel: Panel, tmp_path: Path
) -> None:
    """Here for want of the key file's passphrase, which nobody can be asked for."""
    locked = Stage(tmp_path)
    locked.start()
    locked.stop()
    command = [sys.executable, "-m", "hivekeep.cli.main", "--profile",
               str(locked.profile.root), "ui", "tray"]  # fmt: skip
    env = {**locked._environment(), "LANG": "C.UTF-8",
           "DBUS_SESSION_BUS_ADDRESS": panel.address}  # fmt: skip
    tray = subprocess.Popen(
        command, env=env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        item = panel.item()
        shown = panel.properties(item)
        assert (shown["Status"], "does not answer" in shown["Title"]) == ("NeedsAttention", True)
        assert "assphrase" in " ".join(panel.menu(item))
        panel.click(item, "Start Hivekeep")
        notice = panel.notice()
        assert (notice["title"], "passphrase" in notice["text"]) == ("That did not work", True)
        panel.click(item, "Quit")
        assert tray.wait(60) == 0
    finally:
        for child in psutil.Process(tray.pid).children() if tray.poll() is None else []:
            child.kill()
        tray.kill()
        tray.wait()


@contextmanager
def with_etc(tmp_path: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """A folder that is ``/etc`` for whoever is started by the command beside it."""
    etc = tmp_path / "etc"
    launcher = ("unshare", "--mount", "--propagation", "private", "sh", "-c",
                'mount --bind "$0" /etc && exec "$@"', str(etc))  # fmt: skip
    etc.mkdir()
    tried = subprocess.run([*launcher, "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip("no mount namespace can be made here")
    subprocess.run(["cp", "-a", "/etc/.", etc], capture_output=True, check=False)
    yield etc, launcher


def test_a_machine_policy_that_cannot_be_read_is_a_problem_until_it_is_mended(
    small_model: Path, panel: Panel, tmp_path: Path
) -> None:
    with with_etc(tmp_path) as (etc, launcher):
        stage = Stage(tmp_path, launcher)
        stage.start()
        icon = Icon(stage, panel)
        try:
            icon.shows("Active", "idle")
            managed = etc / "hivekeep" / "policies" / "managed"
            managed.mkdir(parents=True)
            broken = managed / "10-company.json"
            broken.write_text('{"approvals": ')
            shown = icon.shows("NeedsAttention", "policy or audit problem")
            assert "10-company.json" in shown["ToolTip"][2]
            icon.line("Problem: ")
            assert "Policy status" in panel.menu(icon.item)
            broken.write_text("{}")
            icon.shows("Active", "idle")
            assert "Problem" not in " ".join(panel.menu(icon.item))
        finally:
            icon.close()
            stage.close()


@needs_screen
@pytest.mark.skipif(not shutil.which("dunst"), reason="dunst is not installed")
def test_a_real_notification_service_shows_them_and_a_click_opens_the_popup(
    stage: Stage, screen: Screen, home: Path, tmp_path: Path
) -> None:
    session = Panel(names=(WATCHER,))
    (tmp_path / "dunstrc").write_text("[global]\nfollow = none\n")
    env = {**os.environ, **at_home(home), **screen.env,
           "DBUS_SESSION_BUS_ADDRESS": session.address}  # fmt: skip
    service = subprocess.Popen(["dunst", "-conf", str(tmp_path / "dunstrc")], env=env)

    def dunst(*arguments: str) -> str:
        done = subprocess.run(
            ["dunstctl", *arguments], env=env, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    wait_for(lambda: dunst("is-paused") == "false", 60, "dunst does not start")
    icon = Icon(stage, session, env)
    try:
        with asking(stage):
            asked, item = ask(stage, tmp_path / "by <b>dunst<b>")
            wait_for(lambda: dunst("count", "displayed") == "1", 60, "nothing is shown")
            dunst("action", "0")  # a click on the notification itself
            wait_for(lambda: screen.windows("^Approval needed"), 120, "the popup does not come")

            stage.cli("approvals", "deny", item["id"])
            asked.join(60)
            wait_for(lambda: dunst("count", "displayed") == "0", 60, "it is not taken back")
    finally:
        icon.close()
        service.kill()
        service.wait()
        session.close()
        end_windows(stage)


@needs_screen
def test_without_any_tray_it_says_so_or_opens_the_window(
    stage: Stage, screen: Screen, home: Path
) -> None:
    nothing = {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent", "DISPLAY": ""}
    alone = interface(stage, "tray", env=nothing)
    assert alone.wait(120) == 1
    window = interface(stage, "tray", env={**at_home(home), **nothing, **screen.env})
    try:
        wait_for(lambda: screen.windows("^Home"), 120, "the window does not open")
    finally:
        window.send_signal(signal.SIGKILL)
        window.wait()


def test_the_tray_is_killed_and_started_again(
    stage: Stage, panel: Panel, home: Path, tmp_path: Path
) -> None:
    with asking(stage):
        asked, item = ask(stage, tmp_path / "kill")
        for _ in range(2):
            icon = Icon(stage, panel, at_home(home))
            icon.shows("NeedsAttention", "1 waiting")
            assert panel.notice()["title"] == "Approval needed"
            icon.close()
        stage.cli("approvals", "deny", item["id"])
        asked.join(60)
    assert panel.notices.empty()
