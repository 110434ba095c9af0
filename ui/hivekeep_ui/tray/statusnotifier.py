"""A pystray backend for StatusNotifierItem panels (KDE, GNOME with its extension, Cinnamon, …).

Responsible for speaking ``org.kde.StatusNotifierItem`` and ``com.canonical.dbusmenu``; pystray's
own backends for them need GTK, more memory, and know no left click.  Invariant: a line keeps its id
for as long as it is in the menu and no other line ever gets it, so that a click on a menu that has
changed meanwhile does what was clicked, or nothing.

https://www.freedesktop.org/wiki/Specifications/StatusNotifierItem/
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from typing import Any

from jeepney import (
    DBusAddress,
    HeaderFields,
    MatchRule,
    Message,
    MessageType,
    message_bus,
    new_error,
    new_method_call,
    new_method_return,
    new_signal,
)
from jeepney.io.blocking import DBusConnection, open_dbus_connection
from PIL import Image
from pystray import _base

ITEM_PATH, MENU_PATH = "/StatusNotifierItem", "/MenuBar"
_ITEM, _MENU = "org.kde.StatusNotifierItem", "com.canonical.dbusmenu"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_INTROSPECT = "org.freedesktop.DBus.Introspectable"
_WATCHER = DBusAddress(
    "/StatusNotifierWatcher",
    bus_name="org.kde.StatusNotifierWatcher",
    interface="org.kde.StatusNotifierWatcher",
)
_XML = """<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"
"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd"><node/>"""

Line = tuple[int, dict[str, tuple[str, Any]], list[tuple[str, Any]]]


def has_host() -> bool:
    """Whether a panel on the session bus shows such icons."""
    try:
        connection = open_dbus_connection("SESSION")
    except (OSError, KeyError, ValueError):
        return False
    try:
        reply = connection.send_and_get_reply(
            message_bus.NameHasOwner(_WATCHER.bus_name), timeout=5
        )
        return bool(reply.body[0])
    except (OSError, TimeoutError):
        return False
    finally:
        connection.close()


class Icon(_base.Icon):  # type: ignore[misc]
    """pystray's icon, spoken over D-Bus by this process alone."""

    HAS_DEFAULT_ACTION = True
    HAS_NOTIFICATION = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._attention = False
        self._lines: dict[int, Any] = {}
        self._ids: dict[tuple[str, ...], int] = {}
        self._next_id = 1
        self._revision = 0
        self._pixmaps: list[tuple[int, int, bytes]] = []
        self._sending, self._building = threading.Lock(), threading.Lock()
        self._bus: DBusConnection | None = None
        self._ended = threading.Event()
        super().__init__(*args, **kwargs)

    # What pystray asks of a backend

    def _show(self) -> None:
        self._bus = open_dbus_connection("SESSION")
        self._bus.send_and_get_reply(message_bus.RequestName(self._bus_name))
        self._bus.send_and_get_reply(message_bus.AddMatch(_panels()))
        self._update_icon()
        self._build_menu()
        threading.Thread(target=self._serve, name="statusnotifier", daemon=True).start()
        self._register()

    @property
    def _bus_name(self) -> str:
        return f"org.kde.StatusNotifierItem-{os.getpid()}-1"

    def _register(self) -> None:
        self._send(new_method_call(_WATCHER, "RegisterStatusNotifierItem", "s", (self._bus_name,)))

    def _hide(self) -> None:
        if self._bus is not None:
            bus, self._bus = self._bus, None
            bus.close()

    def _update_icon(self) -> None:
        self._pixmaps = [pixmap(image) for image in self._images()]
        self._icon_valid = True
        self._signal(ITEM_PATH, _ITEM, "NewIcon")
        self._signal(ITEM_PATH, _ITEM, "NewAttentionIcon")
        self._signal(ITEM_PATH, _ITEM, "NewStatus", "s", (self._status(),))

    def _update_title(self) -> None:
        self._signal(ITEM_PATH, _ITEM, "NewTitle")
        self._signal(ITEM_PATH, _ITEM, "NewToolTip")

    def _update_menu(self) -> None:
        self._build_menu()
        self._signal(MENU_PATH, _MENU, "LayoutUpdated", "ui", (self._revision, 0))

    def _run(self) -> None:
        self._mark_ready()
        self._ended.wait()
        self._hide()

    def _run_detached(self) -> None:
        threading.Thread(target=self._run, daemon=True).start()

    def _stop(self) -> None:
        self._ended.set()

    def _notify(self, message: str, title: str | None = None) -> None:
        """Notifications go another way: see ``notify``."""

    def _remove_notification(self) -> None:
        """See ``_notify``."""

    # Beyond pystray

    def look(self, images: Iterable[Image.Image], *, attention: bool) -> None:
        """The icon in several sizes, and whether it asks for attention; shown with ``icon``."""
        self._sizes = list(images)
        self._attention = attention

    def _images(self) -> list[Image.Image]:
        return getattr(self, "_sizes", None) or ([self.icon] if self.icon else [])

    def _status(self) -> str:
        return "NeedsAttention" if self._attention else "Active"

    # The menu

    def _build_menu(self) -> None:
        lines: dict[int, Any] = {}
        ids: dict[tuple[str, ...], int] = {}
        with self._building:
            layout = self._line(0, None, self.menu.items if self.menu else (), (), lines, ids)
            self._lines, self._ids, self._layout = lines, ids, layout
            self._revision += 1

    def _line(
        self, number: int, item: Any, items: Iterable[Any], place: tuple[str, ...],
        lines: dict[int, Any], ids: dict[tuple[str, ...], int],
    ) -> Line:  # fmt: skip
        children = []
        for one in items:
            if one.visible:
                name = (*place, one.text)
                while name in ids:  # two separators, or two results of the same name
                    name = (*name[:-1], f"{name[-1]}+")
                child = ids[name] = self._id_of(name)
                lines[child] = one
                below = one.submenu.items if one.submenu else ()
                children.append(("(ia{sv}av)", self._line(child, one, below, name, lines, ids)))
        shown = _properties(item) if item is not None else {}
        if children:
            shown["children-display"] = ("s", "submenu")
        return number, shown, children

    def _id_of(self, name: tuple[str, ...]) -> int:
        if name not in self._ids:
            self._ids[name], self._next_id = self._next_id, self._next_id + 1
        return self._ids[name]

    def _clicked(self, number: int) -> None:
        item = self._lines.get(number)
        if item is not None and item.enabled:
            threading.Thread(target=item, args=(self,), daemon=True).start()

    # D-Bus

    def _serve(self) -> None:
        while (bus := self._bus) is not None:
            try:
                message = bus.receive()
            except (OSError, EOFError, ValueError):
                return
            if message.header.message_type is MessageType.method_call:
                self._send(self._answer(message))
            elif message.header.fields.get(HeaderFields.member) == "NameOwnerChanged":
                _, _, owner = message.body
                if owner:  # the panel has come, or come back after a crash
                    self._register()

    def _answer(self, message: Message) -> Message:
        fields = message.header.fields
        key = (fields.get(HeaderFields.interface), fields.get(HeaderFields.member))
        match key:
            case (name, "Get") if name == _PROPERTIES:
                value = self._property_table(message.body[0]).get(message.body[1])
                if value is not None:
                    return new_method_return(message, "v", (value,))
            case (name, "GetAll") if name == _PROPERTIES:
                return new_method_return(message, "a{sv}", (self._property_table(message.body[0]),))
            case (name, "Introspect") if name == _INTROSPECT:
                return new_method_return(message, "s", (_XML,))
            case (name, member) if name == _MENU:
                return self._answer_menu(message, str(member))
            case (name, "Activate" | "SecondaryActivate") if name == _ITEM:
                threading.Thread(target=self, daemon=True).start()
                return new_method_return(message)
            case (name, "ContextMenu" | "Scroll") if name == _ITEM:
                return new_method_return(message)
        return new_error(message, "org.freedesktop.DBus.Error.UnknownMethod")

    def _answer_menu(self, message: Message, member: str) -> Message:
        match member:
            case "GetLayout":
                line = self._find(int(message.body[0]))
                return new_method_return(message, "u(ia{sv}av)", (self._revision, line))
            case "GetGroupProperties":
                wanted = message.body[0] or list(self._lines)
                found = [(n, _properties(self._lines[n])) for n in wanted if n in self._lines]
                return new_method_return(message, "a(ia{sv})", (found,))
            case "Event":
                number, kind, _, _ = message.body
                if kind == "clicked":
                    self._clicked(number)
                return new_method_return(message)
            case "EventGroup":
                for number, kind, _, _ in message.body[0]:
                    if kind == "clicked":
                        self._clicked(number)
                return new_method_return(message, "ai", ([],))
            case "AboutToShow":
                return new_method_return(message, "b", (False,))
            case "AboutToShowGroup":
                return new_method_return(message, "aiai", ([], []))
        return new_error(message, "org.freedesktop.DBus.Error.UnknownMethod")

    def _find(self, number: int) -> Line:
        pending = [self._layout]
        while pending:
            line = pending.pop()
            if line[0] == number:
                return line
            pending.extend(child for _, child in line[2])
        return self._layout

    def _property_table(self, interface: str) -> dict[str, tuple[str, Any]]:
        if interface == _MENU:
            return {
                "Version": ("u", 3), "TextDirection": ("s", "ltr"), "Status": ("s", "normal"),
                "IconThemePath": ("as", []),
            }  # fmt: skip
        title = self.title or self.name
        return {
            "Category": ("s", "ApplicationStatus"),
            "Id": ("s", self.name),
            "Title": ("s", title),
            "Status": ("s", self._status()),
            "WindowId": ("i", 0),
            "IconName": ("s", ""),
            "IconPixmap": ("a(iiay)", self._pixmaps),
            "AttentionIconName": ("s", ""),
            "AttentionIconPixmap": ("a(iiay)", self._pixmaps),
            "ToolTip": ("(sa(iiay)ss)", ("", [], title, "")),
            "ItemIsMenu": ("b", False),
            "Menu": ("o", MENU_PATH),
        }

    def _signal(self, path: str, interface: str, name: str, kind: str = "", body: Any = ()) -> None:
        self._send(new_signal(DBusAddress(path, interface=interface), name, kind or None, body))

    def _send(self, message: Message) -> None:
        bus = self._bus
        if bus is None:
            return
        with self._sending:
            try:
                bus.send(message)
            except OSError:
                self._ended.set()


def _panels() -> MatchRule:
    """What tells that a panel has come or gone."""
    rule = MatchRule(
        type="signal", sender=message_bus.bus_name, interface=message_bus.interface,
        member="NameOwnerChanged",
    )  # fmt: skip
    rule.add_arg_condition(0, _WATCHER.bus_name)
    return rule


def pixmap(image: Image.Image) -> tuple[int, int, bytes]:
    """Width, height, and ARGB32 in network byte order, as the interface wants it."""
    alpha, red, green, blue = (
        image.convert("RGBA").getchannel(name) for name in ("A", "R", "G", "B")
    )
    # Merging in another order gives the bytes in the order that is wanted.
    return image.width, image.height, Image.merge("RGBA", (alpha, red, green, blue)).tobytes()


def _properties(item: Any) -> dict[str, tuple[str, Any]]:
    if item.text == "- - - -":
        return {"type": ("s", "separator")}
    # A single underscore would mark a mnemonic.
    shown: dict[str, tuple[str, Any]] = {"label": ("s", item.text.replace("_", "__"))}
    if not item.enabled:
        shown["enabled"] = ("b", False)
    if item.submenu:
        shown["children-display"] = ("s", "submenu")
    return shown
