"""Desktop notifications with buttons, over the freedesktop D-Bus interface.

Responsible for sending and for the buttons that come back; what deserves a notification is
``model``'s, whether now is the time ``settings``'.  Invariant: a desktop without a notification
service is no error, because the icon says the same.

https://specifications.freedesktop.org/notification-spec/latest/
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from jeepney import DBusAddress, HeaderFields, MatchRule, MessageType, message_bus, new_method_call
from jeepney.io.threading import DBusRouter, open_dbus_connection

from hivekeep_ui.tray.model import Notice

_SERVICE = DBusAddress(
    "/org/freedesktop/Notifications",
    bus_name="org.freedesktop.Notifications",
    interface="org.freedesktop.Notifications",
)
_NORMAL, _CRITICAL = 1, 2
_REMEMBERED = 50

Chosen = Callable[[tuple[str, ...]], None]


class Notifier:
    """Sends notifications; ``chosen`` is called with the verb of a button that was pressed."""

    def __init__(self, chosen: Chosen) -> None:
        self._chosen = chosen
        self._buttons: dict[int, tuple[tuple[tuple[str, ...], str], ...]] = {}
        self._topics: dict[str, int] = {}
        self._lock = threading.Lock()
        self._sender = _connect()
        if self._sender is not None:
            threading.Thread(
                target=self._listen, args=(self._sender,), name="notifications", daemon=True
            ).start()

    @property
    def works(self) -> bool:
        """Whether there is a bus to send to."""
        return self._sender is not None

    def send(self, notice: Notice) -> bool:
        """Show it; false if no notification service took it."""
        if self._sender is None:
            return False
        actions = [part for number, (_, text) in enumerate(notice.buttons)
                   for part in (str(number), text)]  # fmt: skip
        if notice.buttons:
            # A click on the notification itself does what its first button does.
            actions = ["default", notice.buttons[0][1], *actions]
        urgency = _CRITICAL if notice.urgent else _NORMAL
        hints = {"urgency": ("y", urgency), "desktop-entry": ("s", "hivekeep")}
        replaced = self._topics.get(notice.topic, 0)
        body = ("Hivekeep", replaced, "", notice.title, _escaped(notice.text), actions, hints, -1)
        message = new_method_call(_SERVICE, "Notify", "susssasa{sv}i", body)
        with self._lock:
            try:
                reply = self._sender.send_and_get_reply(message, timeout=5)
            except (OSError, TimeoutError):
                return False
            if reply.header.message_type is not MessageType.method_return:
                return False
            number = int(reply.body[0])
            self._buttons[number] = notice.buttons
            if notice.topic:
                self._topics[notice.topic] = number
            while len(self._buttons) > _REMEMBERED:
                self._buttons.pop(next(iter(self._buttons)))
        return True

    def withdraw(self, topic: str) -> None:
        """Take back what is still shown about ``topic``: there is nothing to do any more."""
        with self._lock:
            number = self._topics.pop(topic, 0)
            if number and self._sender is not None:
                message = new_method_call(_SERVICE, "CloseNotification", "u", (number,))
                with suppress(OSError, TimeoutError):  # no service, nothing shown
                    self._sender.send_and_get_reply(message, timeout=5)

    def _listen(self, router: DBusRouter) -> None:
        """Some services tell everybody of a pressed button, some only who has sent the message."""
        rule = MatchRule(type="signal", interface="org.freedesktop.Notifications")
        with router.filter(rule, queue=queue.Queue()) as signals:
            with suppress(OSError, TimeoutError):
                router.send_and_get_reply(message_bus.AddMatch(rule), timeout=5)
            while True:
                message = signals.get()
                if message.header.fields.get(HeaderFields.member) == "ActionInvoked":
                    self._invoked(message.body)

    def _invoked(self, body: tuple[Any, ...]) -> None:
        number, key = body
        with self._lock:
            buttons = self._buttons.pop(int(number), ())
        chosen = "0" if key == "default" else str(key)
        if chosen.isdigit() and int(chosen) < len(buttons):
            self._chosen(buttons[int(chosen)][0])


def _connect() -> DBusRouter | None:
    try:
        return DBusRouter(open_dbus_connection("SESSION"))
    except (OSError, KeyError, ValueError):
        return None


def _escaped(text: str) -> str:
    """The body may be taken for markup by the service; text from outside must stay text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
