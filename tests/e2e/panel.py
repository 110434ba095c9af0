"""A desktop's session bus with a panel and a notification service, as small as they can be."""

from __future__ import annotations

import queue
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

from jeepney import (
    DBusAddress,
    HeaderFields,
    Message,
    MessageType,
    message_bus,
    new_error,
    new_method_call,
    new_method_return,
    new_signal,
)
from jeepney.io.blocking import open_dbus_connection
from tests.e2e.stage import wait_for

WATCHER, NOTIFICATIONS = "org.kde.StatusNotifierWatcher", "org.freedesktop.Notifications"
# Without services that the bus would start by itself, whatever is installed.
_CONFIG = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""
PORTAL = "org.freedesktop.portal.Desktop"
SCHEME = ("org.freedesktop.appearance", "color-scheme")


def _next(waiting: queue.Queue[Any], otherwise: str) -> Any:
    (found,) = wait_for(lambda: [waiting.get_nowait()] if waiting.qsize() else [], 120, otherwise)
    return found


class Panel:
    """Owns the names that a panel owns, and does what a person would do with the mouse.

    :param names: what it owns; none is a session without such a panel.
    """

    def __init__(self, names: tuple[str, ...] = (WATCHER, NOTIFICATIONS)) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bus-")
        config = Path(self._folder.name) / "session.conf"
        config.write_text(_CONFIG)
        self._bus = subprocess.Popen(
            ["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address=1"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._bus.stdout is not None
        self.address = self._bus.stdout.readline().strip()
        self.items: queue.Queue[str] = queue.Queue()
        self.notices: queue.Queue[dict[str, Any]] = queue.Queue()
        self.withdrawn: queue.Queue[int] = queue.Queue()
        self.screenshot: Path | None = None
        self._scheme = 1
        self._names = names
        self._serving = open_dbus_connection(self.address)
        for name in names:
            self._serving.send_and_get_reply(message_bus.RequestName(name))
        self._asking = open_dbus_connection(self.address)
        self._count = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """End the bus and with it everything on it."""
        self._asking.close()
        self._bus.terminate()
        self._bus.wait(20)
        self._folder.cleanup()

    def item(self) -> str:
        """The bus name of the next icon that registers itself."""
        return str(_next(self.items, "no icon registers itself"))

    def notice(self) -> dict[str, Any]:
        """The next notification."""
        found: dict[str, Any] = _next(self.notices, "no notification comes")
        return found

    def prefer(self, scheme: int) -> None:
        """Change the desktop's colours: 1 is dark, 2 is light."""
        self._scheme = scheme
        address = DBusAddress(
            "/org/freedesktop/portal/desktop", interface="org.freedesktop.portal.Settings"
        )
        body = (*SCHEME, ("u", scheme))
        self._serving.send(new_signal(address, "SettingChanged", "ssv", body))

    def restart(self) -> None:
        """Give the names up and take them again, as a panel that has crashed does."""
        for name in self._names:
            self._serving.send(message_bus.ReleaseName(name))
            self._serving.send(message_bus.RequestName(name))

    def properties(self, item: str) -> dict[str, Any]:
        """The icon's properties."""
        address = DBusAddress(
            "/StatusNotifierItem", bus_name=item, interface="org.freedesktop.DBus.Properties"
        )
        (found,) = self._call(address, "GetAll", "s", ("org.kde.StatusNotifierItem",))
        return {name: value for name, (_, value) in found.items()}

    def menu(self, item: str) -> dict[str, int]:
        """The menu's lines that can be chosen, by their text."""
        _, layout = self._call(self._menu(item), "GetLayout", "iias", (0, -1, []))
        found: dict[str, int] = {}
        pending = [layout]
        while pending:
            number, shown, children = pending.pop()
            if "label" in shown:
                found[shown["label"][1]] = number
            pending.extend(child for _, child in children)
        return found

    def click(self, item: str, text: str) -> None:
        """Choose a line of the menu."""
        number = self.menu(item)[text]
        self._call(self._menu(item), "Event", "isvu", (number, "clicked", ("s", ""), 0))

    def press(self, notice: dict[str, Any], label: str) -> None:
        """Press a notification's button."""
        key = notice["actions"][notice["actions"].index(label) - 1]
        address = DBusAddress("/org/freedesktop/Notifications", interface=NOTIFICATIONS)
        self._serving.send(new_signal(address, "ActionInvoked", "us", (notice["id"], key)))

    def _menu(self, item: str) -> DBusAddress:
        return DBusAddress("/MenuBar", bus_name=item, interface="com.canonical.dbusmenu")

    def _call(self, address: DBusAddress, method: str, kind: str, body: tuple[Any, ...]) -> Any:
        reply = self._asking.send_and_get_reply(
            new_method_call(address, method, kind, body), timeout=60
        )
        assert reply.header.message_type is MessageType.method_return, reply.body
        return reply.body

    def _serve(self) -> None:
        while True:
            try:
                message = self._serving.receive()
            except (OSError, EOFError):
                return
            if message.header.message_type is not MessageType.method_call:
                continue
            match message.header.fields.get(HeaderFields.member):
                case "RegisterStatusNotifierItem":
                    self.items.put(message.body[0])
                    answer = new_method_return(message)
                case "Notify":
                    _, replaced, _, title, text, actions, hints, _ = message.body
                    self._count += not replaced
                    number = replaced or self._count
                    self.notices.put(
                        {"id": number, "title": title, "text": text, "actions": actions,
                         "hints": hints}
                    )  # fmt: skip
                    answer = new_method_return(message, "u", (number,))
                case "Screenshot" if self.screenshot is not None:
                    self._take_screenshot(message, self.screenshot)
                    continue
                case "Read" if message.body == SCHEME:
                    answer = new_method_return(message, "v", (("v", ("u", self._scheme)),))
                case "CloseNotification":
                    self.withdrawn.put(message.body[0])
                    answer = new_method_return(message)
                case _:
                    answer = new_error(message, "org.freedesktop.DBus.Error.UnknownMethod")
            self._serving.send(answer)

    def _take_screenshot(self, message: Message, picture: Path) -> None:
        """What a portal answers when the person has chosen ``picture``."""
        token = message.body[1]["handle_token"][1]
        sender = message.header.fields[HeaderFields.sender].lstrip(":").replace(".", "_")
        path = f"/org/freedesktop/portal/desktop/request/{sender}/{token}"
        self._serving.send(new_method_return(message, "o", (path,)))
        address = DBusAddress(path, interface="org.freedesktop.portal.Request")
        found = {"uri": ("s", picture.as_uri())}
        self._serving.send(new_signal(address, "Response", "ua{sv}", (0, found)))
