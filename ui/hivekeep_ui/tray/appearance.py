"""Whether the panel that the icon is in is dark.

Responsible for finding that out and for telling when it changes.  Nothing says it of panels, so
the desktop's own preference stands for it; GNOME's panel is dark in both.  Invariant: where nothing
is known it counts as dark, which most panels are, and ``HIVEKEEP_TRAY`` (``light``, ``dark``)
overrides all.

https://flatpak.github.io/xdg-desktop-portal/docs/doc-org.freedesktop.portal.Settings.html
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any

_PREFERS_LIGHT = 2
_SCHEME = ("org.freedesktop.appearance", "color-scheme")
_ANSWER_SECONDS = 3.0


class Appearance:
    """Follows the desktop; ``changed`` is called in another thread after ``dark`` has changed."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._light = False
        self._connection: Any = None
        if sys.platform.startswith("linux"):
            self._follow_portal()
        elif sys.platform == "win32":
            self._light = _windows_is_light()

    @property
    def dark(self) -> bool:
        """Whether icons are drawn for a dark panel."""
        chosen = os.environ.get("HIVEKEEP_TRAY")
        if chosen in ("light", "dark"):
            return chosen == "dark"
        return not self._light or "GNOME" in os.environ.get("XDG_CURRENT_DESKTOP", "")

    def _follow_portal(self) -> None:
        from jeepney import DBusAddress, MatchRule, MessageType, message_bus, new_method_call
        from jeepney.io.blocking import open_dbus_connection

        portal = DBusAddress(
            "/org/freedesktop/portal/desktop", bus_name="org.freedesktop.portal.Desktop",
            interface="org.freedesktop.portal.Settings",
        )  # fmt: skip
        rule = MatchRule(type="signal", interface=portal.interface, member="SettingChanged")
        try:
            bus = open_dbus_connection("SESSION")
            bus.send_and_get_reply(message_bus.AddMatch(rule))
            reply = bus.send_and_get_reply(
                new_method_call(portal, "Read", "ss", _SCHEME), timeout=_ANSWER_SECONDS
            )
        except (OSError, KeyError, ValueError, TimeoutError):
            return  # no session bus, or nobody who knows
        if reply.header.message_type is MessageType.method_return:
            self._light = _value(reply.body[0]) == _PREFERS_LIGHT
        self._connection = bus
        threading.Thread(target=self._listen, name="appearance", daemon=True).start()

    def _listen(self) -> None:
        from jeepney import HeaderFields

        while True:
            try:
                message = self._connection.receive()
            except (OSError, EOFError):
                return
            if message.header.fields.get(HeaderFields.member) != "SettingChanged":
                continue
            *key, value = message.body
            if tuple(key) == _SCHEME:
                self._light = _value(value) == _PREFERS_LIGHT
                self._changed()


def _value(variant: Any) -> Any:
    """What is in a variant, which older portals wrap twice."""
    while isinstance(variant, tuple):
        variant = variant[1]
    return variant


def _windows_is_light() -> bool:
    import winreg

    key = r"Software\Microsoft\Windows\CurrentVersion\Themes\Personalize"
    try:
        with winreg.OpenKey(winreg.HKEY_CURRENT_USER, key) as found:  # type: ignore[attr-defined]
            value = winreg.QueryValueEx(found, "SystemUsesLightTheme")  # type: ignore[attr-defined]
    except OSError:
        return False
    return bool(value[0])
