"""A picture of the screen, for "Process screenshot".

Responsible for getting it the way the session allows: from the X server, or, under Wayland, where
no program may read the screen by itself, from the desktop portal, which lets the person choose.

https://flatpak.github.io/xdg-desktop-portal/docs/doc-org.freedesktop.portal.Screenshot.html
"""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

_CHOOSE_SECONDS = 300.0  # a person marks a part of the screen meanwhile


class NoScreenshotError(Exception):
    """There is none; the text says why."""


def place_for(folder: Path, now: datetime) -> Path:
    """A new, empty file for a picture that is taken ``now``; one of the same second stays.

    :raises OSError: if none can be made in ``folder``.
    """
    stem = f"screenshot-{now:%Y%m%d-%H%M%S}"
    for number in itertools.count(1):
        path = folder / (f"{stem}.png" if number == 1 else f"{stem}-{number}.png")
        try:
            path.touch(0o600, exist_ok=False)
        except FileExistsError:
            continue
        return path
    raise AssertionError("there is always a next number")


def take(path: Path) -> bool:
    """Write a PNG to ``path``; false if the person does not want to after all.

    :raises NoScreenshotError: if this session lets nobody take one.
    """
    if sys.platform.startswith("linux") and os.environ.get("WAYLAND_DISPLAY"):
        return _from_portal(path)
    from PIL import ImageGrab

    try:
        ImageGrab.grab(all_screens=True).save(path)
    except (OSError, subprocess.SubprocessError) as error:
        raise NoScreenshotError(str(error)) from error
    return True


def _from_portal(path: Path) -> bool:
    from jeepney import DBusAddress, MatchRule, MessageType, message_bus, new_method_call
    from jeepney.io.blocking import open_dbus_connection

    portal = DBusAddress(
        "/org/freedesktop/portal/desktop", bus_name="org.freedesktop.portal.Desktop",
        interface="org.freedesktop.portal.Screenshot",
    )  # fmt: skip
    token = f"hivekeep{secrets.token_hex(8)}"
    try:
        bus = open_dbus_connection("SESSION")
    except (OSError, KeyError, ValueError) as error:
        raise NoScreenshotError(str(error)) from error
    with bus:
        sender = bus.unique_name.lstrip(":").replace(".", "_")
        # Known beforehand, so that the answer cannot come before it is listened for.
        rule = MatchRule(
            type="signal", interface="org.freedesktop.portal.Request", member="Response",
            path=f"/org/freedesktop/portal/desktop/request/{sender}/{token}",
        )  # fmt: skip
        bus.send_and_get_reply(message_bus.AddMatch(rule))
        options = {"interactive": ("b", True), "handle_token": ("s", token)}
        try:
            with bus.filter(rule) as responses:
                reply = bus.send_and_get_reply(
                    new_method_call(portal, "Screenshot", "sa{sv}", ("", options)), timeout=30
                )
                if reply.header.message_type is not MessageType.method_return:
                    raise NoScreenshotError(f"no portal for it: {reply.body[0]}")
                code, found = bus.recv_until_filtered(responses, timeout=_CHOOSE_SECONDS).body
        except (OSError, TimeoutError) as error:
            raise NoScreenshotError(str(error)) from error
    if code != 0:
        return False
    shutil.copyfile(unquote(urlsplit(found["uri"][1]).path), path)
    return True
