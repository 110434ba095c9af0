"""What the tray shows, computed from the daemon's overview.

Responsible for icon, tooltip, menu and what deserves a notification, as plain data; it draws and
sends nothing, so that every state can be tested without a screen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hivekeep_ui.tray.icons import Look
from hivekeep_ui.tray.words import words

PAUSES = ((900, "pause.15m"), (3600, "pause.1h"), (4 * 3600, "pause.4h"), (86_400, "pause.1d"))
UNREACHABLE: dict[str, Any] = {
    "state": "problem", "approvals": 0, "newest_approval": "", "paused_until": None,
    "problems": [{"code": "daemon", "text": ""}], "runs": [], "recent": [], "waiting": [],
    "desktop": {"hidden": [], "notifications": "full"},
}  # fmt: skip
# What a person knows who has just logged in: nothing of what waits or is wrong, all that is old.
FIRST: dict[str, Any] = {"waiting": [], "problems": [], "runs": []}
_LONGEST_LINE, _LONGEST_PROBLEM, _LONGEST_TIP = 48, 80, 160


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the menu. ``action`` is a verb with arguments; a line with ``items`` opens them.

    ``name`` is what policy calls it; a line without one is always shown.
    """

    text: str
    action: tuple[str, ...] = ()
    items: tuple[Entry, ...] = ()
    enabled: bool = True
    default: bool = False
    separator: bool = False
    name: str = ""


Say = Callable[..., str]
Buttons = tuple[tuple[tuple[str, ...], str], ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """A desktop notification with its buttons, each a verb with arguments.

    Of those with the same ``topic`` only the newest is shown.
    """

    title: str
    text: str
    buttons: Buttons = ()
    urgent: bool = False
    topic: str = ""


SEPARATOR = Entry("", separator=True)
APPROVALS = "approvals"


def unreachable(why: str = "") -> dict[str, Any]:
    """The overview while nobody answers; ``why`` is what is known about it."""
    return {**UNREACHABLE, "problems": [{"code": "daemon", "text": why}]}


def answers(overview: Mapping[str, Any]) -> bool:
    """Whether ``overview`` is the daemon's own."""
    return all(problem["code"] != "daemon" for problem in overview["problems"])


def look_of(overview: Mapping[str, Any]) -> Look:
    """The icon's look."""
    documents = sum(run["documents"] for run in overview["runs"])
    done = sum(run["done"] for run in overview["runs"])
    return Look(overview["state"], done / documents if documents else 0.0, overview["approvals"])


def tooltip_of(overview: Mapping[str, Any], language: str) -> str:
    """One line that says what the icon means."""
    say = words(language)
    match overview["state"]:
        case "problem":
            text = say("tip.problem") if answers(overview) else say("tip.daemon")
            known = [problem["text"] for problem in overview["problems"] if problem["text"]]
            text = _begin(": ".join([text, *known[:1]]), _LONGEST_TIP)
        case "waiting":
            text = say("tip.waiting", count=overview["approvals"])
        case "paused":
            until = datetime.fromtimestamp(overview["paused_until"]).strftime("%H:%M")  # noqa: DTZ006
            text = say("tip.paused", time=until)
        case "working":
            runs = overview["runs"]
            done, total = sum(r["done"] for r in runs), sum(r["documents"] for r in runs)
            text = say("tip.working", done=done, total=total)
        case _:
            text = say("tip.idle")
    return f"Hivekeep: {text}"


def menu_of(
    overview: Mapping[str, Any], watches: Sequence[Mapping[str, Any]], language: str
) -> tuple[Entry, ...]:
    """The whole menu."""
    say = words(language)
    run_now = tuple(
        Entry(_short(watch["folder"]), ("run_watch", watch["id"])) for watch in watches
    ) or (Entry(say("menu.no_folders"), enabled=False),)
    recent = tuple(_recent(run, say) for run in overview["recent"]) or (
        Entry(say("menu.no_results"), enabled=False),
    )
    pauses = tuple(Entry(say(key), ("pause", str(seconds))) for seconds, key in PAUSES)
    pausing = Entry(say("menu.resume"), ("pause", "0"), name="pause")
    if overview["paused_until"] is None:
        pausing = Entry(say("menu.pause"), items=pauses, name="pause")
    waiting = overview["approvals"]
    lines = (
        *_problem_lines(overview, say),
        Entry(say("menu.approvals", count=waiting), ("popup",), enabled=waiting > 0,
              name="approvals"),
        SEPARATOR,
        Entry(say("menu.ask"), ("dashboard", "ask"), name="ask"),
        Entry(say("menu.files"), ("dashboard", "home/files"), name="files"),
        Entry(say("menu.clipboard"), ("dashboard", "home/clipboard"), name="clipboard"),
        Entry(say("menu.screenshot"), ("screenshot",), name="screenshot"),
        Entry(say("menu.drop_folder"), ("drop_folder",), name="drop_folder"),
        Entry(say("menu.run_now"), items=run_now, name="run_now"),
        SEPARATOR,
        Entry(say("menu.recent"), items=recent, name="recent"),
        pausing,
        SEPARATOR,
        Entry(say("menu.dashboard"), ("dashboard", "home"), default=True, name="dashboard"),
        Entry(say("menu.policy"), ("dashboard", "policy"), name="policy"),
        Entry(say("menu.settings"), ("dashboard", "settings"), name="settings"),
        SEPARATOR,
        Entry(say("menu.quit"), ("quit",)),
    )  # fmt: skip
    hidden = set(overview["desktop"].get("hidden", ()))
    if overview["desktop"].get("clipboard") == "deny":
        hidden.add("clipboard")
    return _tidy([line for line in lines if line.name not in hidden])


def notices_of(
    before: Mapping[str, Any], after: Mapping[str, Any], language: str
) -> tuple[Notice, ...]:
    """What changed so that a person should hear of it."""
    say = words(language)
    choice = after["desktop"].get("notifications", "full")
    if choice == "off":
        return ()
    private = choice == "private"
    return (
        *_questions(before, after, say),
        *_results(before, after, say, private=private),
        *_problems(before, after, say, private=private),
    )


def asks(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether something waits for an answer that did not before."""
    return bool(set(after["waiting"]) - set(before["waiting"]))


def _questions(before: Mapping[str, Any], after: Mapping[str, Any], say: Say) -> Iterator[Notice]:
    if asks(before, after):
        newest = after["newest_approval"]
        buttons = ((("popup", newest), say("notice.show")), (("deny", newest), say("notice.deny")))
        text = say("notice.waiting", count=after["approvals"])
        yield Notice(say("notice.approval"), text, buttons, urgent=True, topic=APPROVALS)


def _results(
    before: Mapping[str, Any], after: Mapping[str, Any], say: Say, *, private: bool
) -> Iterator[Notice]:
    known = {run["id"] for run in before["recent"]}
    active = {run["id"] for run in before["runs"]}
    newest = max((run["ended"] for run in before["recent"]), default=float("inf"))
    for run in after["recent"]:
        # A short run may begin and end between two looks.
        if run["id"] in known or not (run["id"] in active or run["ended"] > newest):
            continue
        buttons: Buttons = ((("dashboard", f"run/{run['id']}"), say("notice.show")),)
        if run["deliverables"] and not private:
            open_it = ("open", run["id"], run["deliverables"][0]["path"])
            buttons = (*buttons, (open_it, say("notice.open")))
        title = say("notice.run") if private else run["title"]
        count = run["documents"]
        text = say("notice.document") if count == 1 else say("notice.documents", count=count)
        yield Notice(say("notice.finished", title=title), text, buttons)


def _problems(
    before: Mapping[str, Any], after: Mapping[str, Any], say: Say, *, private: bool
) -> Iterator[Notice]:
    old = {problem["code"] for problem in before["problems"]}
    for problem in after["problems"]:
        if problem["code"] not in old:
            text = say("tip.problem") if private else problem["text"]
            show = (("dashboard", _place_of(problem)), say("notice.show"))
            yield Notice(say("notice.problem"), text, (show,), urgent=True)


def _problem_lines(overview: Mapping[str, Any], say: Say) -> tuple[Entry, ...]:
    if overview["state"] != "problem":
        return ()
    lines = []
    for problem in overview["problems"]:
        if problem["text"]:
            text = say("menu.problem", text=_begin(problem["text"], _LONGEST_PROBLEM))
            lines.append(Entry(text, ("dashboard", _place_of(problem))))
    if not answers(overview):
        lines.append(Entry(say("menu.start"), ("start",)))
    return (*lines, SEPARATOR)


def _place_of(problem: Mapping[str, str]) -> str:
    """Where the window tells more."""
    return {"policy": "policy", "audit": "audit"}.get(problem["code"], "doctor")


def _tidy(lines: Sequence[Entry]) -> tuple[Entry, ...]:
    """Without separators that nothing is between."""
    kept: list[Entry] = []
    for line in lines:
        if not line.separator or (kept and not kept[-1].separator):
            kept.append(line)
    while kept and kept[-1].separator:
        kept.pop()
    return tuple(kept)


def _recent(run: Mapping[str, Any], say: Say) -> Entry:
    items: list[Entry] = [
        Entry(say("menu.open", name=item["name"]), ("open", run["id"], item["path"]))
        for item in run["deliverables"]
    ]
    if run["deliverables"]:
        first = run["deliverables"][0]["path"]
        items.append(Entry(say("menu.folder"), ("open_folder", run["id"], first)))
    items.append(Entry(say("menu.look"), ("dashboard", f"run/{run['id']}")))
    return Entry(_short(run["title"]), items=tuple(items))


def _short(text: str) -> str:
    """A name from outside, on one line of bounded length; its end tells files apart."""
    line = _one_line(text)
    return line if len(line) <= _LONGEST_LINE else f"{line[:23]}…{line[-24:]}"


def _begin(text: str, length: int) -> str:
    """The beginning of a sentence, on one line."""
    line = _one_line(text)
    return line if len(line) <= length else f"{line[: length - 1]}…"


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
