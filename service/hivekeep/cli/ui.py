"""``hivekeep ui``: the tray icon and the window, which are a program of their own.

Responsible for starting it with the profile's socket; it imports nothing of the interface.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from typing import Annotated

import typer

from hivekeep.cli.client import connect
from hivekeep.daemon.profile import Profile
from hivekeep.domain.errors import DaemonError, NotFoundError

app = typer.Typer(
    no_args_is_help=True,
    help="The tray icon and the window; they talk to the daemon through its local API only.",
)


@app.command("tray")
def tray(context: typer.Context) -> int:
    """Show the icon in the tray until it is quit; starts the daemon if need be.

    Where the desktop has no tray, the window is opened instead. On GNOME, the AppIndicator
    extension adds a tray. If the daemon cannot be started, the icon says so, and why.
    """
    _require_installed()
    try:
        connect(context.obj)
    except DaemonError as error:
        return _run(context.obj, "tray", "--trouble", error.why or error.what)
    return _run(context.obj, "tray")


@app.command("open")
def open_window(
    context: typer.Context,
    place: Annotated[
        str, typer.Argument(help="A place in the window, such as runs, approvals or run/ID.")
    ] = "home",
) -> int:
    """Open the window: swarm, results, approvals, folders, recipes, policy and audit log."""
    return _start(context.obj, "open", "--place", place)


@app.command("popup")
def popup(
    context: typer.Context,
    approval: Annotated[
        str, typer.Argument(help="The approval to show first; an id that 'approvals list' shows.")
    ] = "",
) -> int:
    """Open the popup with what waits for your yes or no."""
    return _start(context.obj, "open", "--page", "popup", "--place", approval)


@app.command("serve", hidden=True)
def serve(context: typer.Context) -> int:
    """Serve the same pages on a loopback port with a one-time token: for browser tests only."""
    return _start(context.obj, "serve")


def _start(profile: Profile, *arguments: str) -> int:
    _require_installed()
    connect(profile)
    return _run(profile, *arguments)


def _require_installed() -> None:
    if find_spec("hivekeep_ui") is None or find_spec("pystray") is None:
        raise NotFoundError(
            "The desktop interface is not installed.",
            next_step="Install it with: pip install 'hivekeep[desktop]'",
        )


def _run(profile: Profile, *arguments: str) -> int:
    command = [
        sys.executable, "-m", "hivekeep_ui", *arguments,
        "--socket", str(profile.socket), "--profile", str(profile.root),
    ]  # fmt: skip
    return subprocess.run(command, check=False).returncode  # noqa: S603 - our own program
