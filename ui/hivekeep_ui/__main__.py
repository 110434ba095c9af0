"""``hivekeep-ui``: the tray icon and the window of one profile.

Responsible for the command line only.  Without ``--socket`` it asks ``hivekeep ui`` to start it,
which also starts the daemon if need be.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from hivekeep_ui.client import DaemonClient


def main(arguments: list[str] | None = None) -> int:
    """Run one of ``tray``, ``open``, ``serve``; the exit status."""
    options = _parser().parse_args(arguments)
    if not options.socket:
        # The profile's paths are the daemon's business; its command line knows them.
        command = [sys.executable, "-m", "hivekeep.cli.main", "ui", options.command]
        return subprocess.run(command, check=False).returncode  # noqa: S603
    profile = Path(options.profile or Path(options.socket).parent)
    if options.command == "tray":
        return _tray(options.socket, profile, options.trouble)
    if options.command == "serve":
        return _serve(options.socket, profile)
    from hivekeep_ui.window.app import show
    from hivekeep_ui.window.instance import Wish

    show(options.socket, profile, Wish(options.page, options.place), warm=options.warm)
    return 0


def _tray(socket: str, profile: Path, trouble: str) -> int:
    from hivekeep_ui.tray.app import NoTrayError, Tray

    if trouble:
        sys.stderr.write(trouble + "\n")
    try:
        Tray(DaemonClient(socket), profile, trouble=trouble).run()
    except NoTrayError:
        from hivekeep_ui.settings import SettingsFile
        from hivekeep_ui.tray.words import resolve, words

        say = words(resolve(SettingsFile(profile / "ui.json").load().language))
        sys.stderr.write(say("window.no_tray") + "\n")
        if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            return 1
        from hivekeep_ui.window.app import show
        from hivekeep_ui.window.instance import Wish

        show(socket, profile, Wish("dashboard", "home"))
    return 0


def _serve(socket: str, profile: Path) -> int:
    """For browser tests: print the one-time address and serve until the input ends."""
    from hivekeep_ui.relay import Relay
    from hivekeep_ui.verbs import DesktopVerbs
    from hivekeep_ui.window.loopback import TestServer

    daemon = DaemonClient(socket)
    server = TestServer(Relay(daemon, DesktopVerbs(daemon, profile).table()))
    sys.stdout.write(server.url + "\n")
    sys.stdout.flush()
    server.serve_forever()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hivekeep-ui", description=__doc__)
    parser.add_argument("command", choices=("tray", "open", "serve"))
    parser.add_argument("--socket", default="", help="the daemon's socket")
    parser.add_argument("--profile", default="", help="the profile's folder")
    parser.add_argument("--page", choices=("dashboard", "popup"), default="dashboard")
    parser.add_argument("--place", default="", help="a place on the page, such as run/ID")
    parser.add_argument("--warm", type=float, default=90.0, help="seconds to stay after closing")
    parser.add_argument("--trouble", default="", help="why the daemon could not be started")
    return parser


if __name__ == "__main__":
    sys.exit(main())
