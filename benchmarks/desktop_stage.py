"""A daemon, a panel, a virtual screen and the real tray, for measurements of the interface."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from tests.e2e.panel import Panel
from tests.e2e.stage import Stage, wait_for

from hivekeep.cli.client import DaemonClient
from hivekeep.domain.errors import HivekeepError


@dataclass
class Desktop:
    """What a measurement works with."""

    stage: Stage
    tray: subprocess.Popen[bytes]
    notes: Path
    folder: Path
    asked: int = 0

    def ask(self) -> float:
        """Let the daemon ask something; the seconds until it was on the screen."""
        self.asked += 1
        folder = self.folder / f"question {self.asked}"
        folder.mkdir()
        before = len(self._shown())
        begun = time.time()
        threading.Thread(target=self._watch, args=(folder,), daemon=True).start()
        wait_for(lambda: len(self._shown()) > before, 120, "the popup did not come")
        return float(self._shown()[before]["at"]) - begun

    def deny(self) -> None:
        """Answer what waits."""
        for item in self.stage.client.get("/v1/approvals")["approvals"]:
            self.stage.client.post(
                f"/v1/approvals/{item['id']}/answer", {"answer": "deny", "digest": item["digest"]}
            )
        wait_for(
            lambda: self.stage.client.get("/v1/overview")["state"] == "idle", 60, "still asking"
        )

    def window(self) -> psutil.Process | None:
        """The window's process, if it runs."""
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if "open" in words and str(self.stage.profile.root) in words:
                return process
        return None

    def end_window(self) -> None:
        """Make the next popup start from nothing."""
        if (process := self.window()) is not None:
            process.kill()
            process.wait()

    def _shown(self) -> list[dict[str, Any]]:
        if not self.notes.exists():
            return []
        return [json.loads(line) for line in self.notes.read_text().splitlines()]

    def _watch(self, folder: Path) -> None:
        client = DaemonClient(self.stage.profile)
        try:
            client.post("/v1/watches", {"folder": str(folder), "recipe": "invoices"})
        except HivekeepError:
            return  # denied, as intended


@contextmanager
def desktop() -> Iterator[Desktop]:
    """The whole desktop, gone afterwards."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stage = Stage(folder)
        stage.profile.create()
        policy = {"approvals": {"required_from": "low"}}
        stage.profile.policy.write_text(json.dumps(policy), encoding="utf-8")
        stage.start()
        panel = Panel()
        read, write = os.pipe()
        xvfb = subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), "-screen", "0", "1400x1000x24"],
            pass_fds=(write,), stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(write)
        with os.fdopen(read) as ready:
            screen = f":{ready.readline().strip()}"
        notes = folder / "shown.jsonl"
        env = {
            **os.environ, "DISPLAY": screen, "DBUS_SESSION_BUS_ADDRESS": panel.address,
            "HIVEKEEP_UI_SHOWN": str(notes),
        }  # fmt: skip
        manager = subprocess.Popen(["openbox"], env=env, stderr=subprocess.DEVNULL)
        tray = subprocess.Popen(
            [sys.executable, "-m", "hivekeep_ui", "tray", "--socket", str(stage.profile.socket),
             "--profile", str(stage.profile.root)],
            env=env, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        found = Desktop(stage, tray, notes, folder)
        try:
            panel.item()
            yield found
        finally:
            found.end_window()
            for process in (tray, manager, xvfb):
                process.kill()
                process.wait()
            panel.close()
            stage.close()
