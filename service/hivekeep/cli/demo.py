"""``hivekeep demo``: the whole road on bundled documents, in a throw-away profile.

Responsible for showing, not for doing: everything runs through the same daemon, watched folder and
recipes that a user has.  If the daemon is killed meanwhile, it is started again and goes on.
"""

from __future__ import annotations

import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import typer

from hivekeep.cli import live, models
from hivekeep.cli.client import DaemonClient, spawn_daemon
from hivekeep.cli.output import JsonFlag, console, print_json, safe, stderr, table
from hivekeep.cli.runs import print_result
from hivekeep.daemon.profile import Profile
from hivekeep.daemon.wiring import open_store
from hivekeep.domain.errors import DaemonError
from hivekeep.engine.store import DEFAULT_MODEL
from hivekeep.secrets import needs_passphrase

_RECIPES = {"invoices": "invoices", "contracts": "contracts"}
_RESTARTS = 20
_PATIENCE = 60.0
# What fits a terminal of 80 columns; the workbook has the rest.
_SHOWN = ("number", "issue_date", "seller", "total")


def demo(
    context: typer.Context,
    folder: Annotated[
        Path | None, typer.Option(help="Where to put the demo (default: a new temporary folder).")
    ] = None,
    as_json: JsonFlag = False,
) -> int:
    """Process bundled invoices and a contract: watched folder in, workbook out.

    Gets the default model if it is not here yet. Uses a profile of its own; yours is not touched.
    """
    place = folder or Path(tempfile.mkdtemp(prefix="hivekeep-demo-"))
    place.mkdir(parents=True, exist_ok=True)
    if not open_store(context.obj).is_installed(DEFAULT_MODEL):
        # Whoever asks for the demo has been told in its help that it gets the model.
        models.pull(context, DEFAULT_MODEL, yes=True, as_json=False)
    stage = _Stage(Profile.locate(place / "profile"))
    try:
        details = [
            stage.process(place / "inbox" / name, recipe, place / "results")
            for name, recipe in _RECIPES.items()
        ]
        verified = stage.client.post("/v1/audit/verify")
    finally:
        stage.stop()
    if as_json:
        print_json({"folder": str(place), "runs": details, "audit": verified})
    else:
        _tell(place, details, verified)
    return 0 if verified["ok"] and all(d["state"] == "finished" for d in details) else 1


class _Stage:
    """The demo's daemon, started again whenever it is gone."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._passphrase: str | None = None
        if needs_passphrase(profile.root, profile_id=profile.id):
            # Kept in memory only: the throw-away profile cannot be opened after the demo.
            self._passphrase = secrets.token_urlsafe(24)
        self._process: subprocess.Popen[bytes] = spawn_daemon(profile, passphrase=self._passphrase)
        self.client = DaemonClient(profile)
        self._say(f"The daemon runs as process {self._process.pid} in {profile.root}")

    def process(self, inbox: Path, recipe: str, results: Path) -> dict[str, Any]:
        """Watch ``inbox``, drop the samples for it, follow the run, return what it gave."""
        inbox.mkdir(parents=True, exist_ok=True)
        body = {"folder": str(inbox), "recipe": recipe, "output": str(results)}
        watch = self.client.post("/v1/watches", body)
        samples = resources.files("hivekeep.samples").joinpath(inbox.name)
        with resources.as_file(samples) as source:
            names = sorted(path.name for path in source.iterdir() if path.is_file())
            for name in names:
                shutil.copyfile(source / name, inbox / name)
        self._say(f"Dropped {len(names)} documents into the watched folder {inbox}")
        run = self._wait_for_run(watch["recipe"])
        return self._follow(run)

    def stop(self) -> None:
        """End the daemon."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _wait_for_run(self, recipe: str) -> str:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            try:
                for run in self.client.get("/v1/runs")["runs"]:
                    if run["recipe"] == recipe:
                        return str(run["id"])
            except DaemonError:
                self._restart()
            time.sleep(0.1)
        raise DaemonError(
            "The watched folder did not start a run.",
            why=f"Nothing happened within {_PATIENCE:.0f} s.",
            next_step=f"See {self._profile.logs}.",
        )

    def _follow(self, run: str) -> dict[str, Any]:
        for _ in range(_RESTARTS):
            try:
                live.show(stderr, self.client.follow(run))
                detail = self.client.get(f"/v1/runs/{run}")
                if detail["state"] in ("finished", "failed", "cancelled"):
                    return detail
            except DaemonError:
                self._restart()
        raise DaemonError(
            "The daemon ended again and again.", next_step=f"See {self._profile.logs}."
        )

    def _restart(self) -> None:
        if self.client.running():
            return
        self._say("The daemon is gone; starting it again. The run goes on by itself.")
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        self._process = spawn_daemon(self._profile, passphrase=self._passphrase)

    def _say(self, text: str) -> None:
        stderr.print(safe(text))


def _tell(place: Path, details: list[dict[str, Any]], verified: dict[str, Any]) -> None:
    for detail in details:
        print_result(detail)
        for agent in detail["agents"]:
            if agent["state"] == "done" and detail["recipe"] != "invoices":
                _print_values(agent)
        if detail["recipe"] == "invoices":
            console.print(_grid(detail))
    mark = "[green]✓[/]" if verified["ok"] else "[red]✗[/]"
    console.print(f"\n{mark} audit log: {verified['records']} records verified")
    for detail in details:
        for path in detail["deliverables"]:
            console.print(f"open [bold]{safe(path)}[/]")
    console.print(f"[dim]everything is in {safe(place)}; delete it when you are done[/]")


def _grid(detail: dict[str, Any]) -> Any:
    picture = table("document", "number", "date", "seller", "total")
    for column in picture.columns:
        column.overflow, column.no_wrap = "ellipsis", True
    for wide in (0, 3):  # what is shortened where 80 columns do not suffice
        picture.columns[wide].max_width = 20
    picture.columns[-1].justify = "right"
    for agent in detail["agents"]:
        values = {value["name"]: value for value in agent["values"]}
        if not values:
            continue
        cells = []
        for name in _SHOWN:
            value = values.get(name, {})
            text = "" if value.get("value") is None else safe(value["value"])
            if name == "total" and (currency := values.get("currency", {}).get("value")):
                text = f"{safe(currency)} {text}"
            doubtful = value.get("status") == "needs_review"
            cells.append(f"[yellow]{text} ?[/]" if doubtful else text)
        picture.add_row(safe(agent["name"]), *cells)
    return picture


def _print_values(agent: dict[str, Any]) -> None:
    console.print(f"[bold]{safe(agent['name'])}[/]")
    for value in agent["values"]:
        if "rows" in value:
            rows = ["; ".join(str(c["value"]) for c in row if c["value"]) for row in value["rows"]]
            console.print(f"  {value['name']:16} {safe(' | '.join(rows))}")
        elif value["value"] is not None:
            mark = " [yellow]?[/]" if value["status"] == "needs_review" else ""
            console.print(f"  {value['name']:16} {safe(value['value'])}{mark}")
