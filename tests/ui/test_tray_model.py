"""What the tray shows and says in every state, without a screen."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import date, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops

from hivekeep_ui.settings import Settings, checked
from hivekeep_ui.tray.icons import SIZES, Look, draw
from hivekeep_ui.tray.model import (
    UNREACHABLE,
    Entry,
    look_of,
    menu_of,
    notices_of,
    tooltip_of,
    unreachable,
)
from hivekeep_ui.tray.words import CHINESE, ENGLISH

IDLE: dict[str, Any] = {
    "state": "idle", "approvals": 0, "newest_approval": "", "paused_until": None, "problems": [],
    "runs": [], "recent": [], "waiting": [], "desktop": {"hidden": [], "notifications": "full"},
}  # fmt: skip
RUN = {"id": "r1", "title": "Invoices", "state": "running", "done": 3, "documents": 12}
FINISHED = {
    "id": "r1", "title": "Invoices", "ended": 1.0, "documents": 12,
    "deliverables": [{"path": "/results/a.xlsx", "name": "a.xlsx"}],
}  # fmt: skip
NAMES = ("approvals", "ask", "files", "clipboard", "screenshot", "drop_folder", "run_now",
         "recent", "pause", "dashboard", "policy", "settings")  # fmt: skip
STATES = {
    "idle": IDLE,
    "working": {**IDLE, "state": "working", "runs": [RUN]},
    "waiting": {
        **IDLE,
        "state": "waiting",
        "approvals": 12,
        "newest_approval": "a1",
        "waiting": [f"a{n}" for n in range(12, 0, -1)],
    },
    "paused": {**IDLE, "state": "paused", "paused_until": 1_800_000_000.0},
    "problem": {**IDLE, "state": "problem", "problems": [{"code": "policy", "text": "Bad."}]},
    "unreachable": UNREACHABLE,
}


def flat(entries: tuple[Entry, ...]) -> list[Entry]:
    """Every line of a menu."""
    return [one for entry in entries for one in (entry, *flat(entry.items))]


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize("state", STATES)
def test_each_state_has_a_tooltip_of_its_own_and_a_whole_menu(state: str, language: str) -> None:
    tips = {name: tooltip_of(overview, language) for name, overview in STATES.items()}
    assert len(set(tips.values())) == len(STATES)
    lines = flat(menu_of(STATES[state], [], language))
    verbs = {line.action[0] for line in lines if line.action}
    assert verbs >= {"popup", "screenshot", "drop_folder", "pause", "quit"}
    places = {line.action[1] for line in lines if line.action[:1] == ("dashboard",)}
    assert places >= {"home", "home/files", "home/clipboard", "policy", "settings"}
    assert sum(line.default for line in lines) == 1
    assert all(line.text or line.separator for line in lines)


def test_counts_and_progress_are_shown() -> None:
    assert "12" in tooltip_of(STATES["waiting"], "en")
    assert "3 of 12" in tooltip_of(STATES["working"], "en")
    assert look_of(STATES["working"]).progress == 0.25
    (approvals, *_) = menu_of(STATES["waiting"], [], "en")
    assert approvals.text == "Approvals (12)"
    assert approvals.enabled
    assert not menu_of(IDLE, [], "en")[0].enabled


def test_results_and_folders_have_their_lines() -> None:
    overview = {**IDLE, "recent": [FINISHED]}
    watches = [{"id": "w1", "folder": "/home/ann/In\nbox_1"}]
    lines = flat(menu_of(overview, watches, "en"))
    actions = [line.action for line in lines]
    assert ("run_watch", "w1") in actions
    assert ("open", "r1", "/results/a.xlsx") in actions
    assert ("open_folder", "r1", "/results/a.xlsx") in actions
    assert all("\n" not in line.text for line in lines)
    assert ("pause", "0") in [x.action for x in flat(menu_of(STATES["paused"], [], "en"))]


def test_a_person_hears_of_questions_results_and_problems_once() -> None:
    (asked,) = notices_of(IDLE, STATES["waiting"], "en")
    assert asked.urgent
    assert [verb for verb, _ in asked.buttons] == [("popup", "a1"), ("deny", "a1")]
    assert notices_of(STATES["waiting"], STATES["waiting"], "en") == ()
    done = {**IDLE, "recent": [FINISHED]}
    (finished,) = notices_of(STATES["working"], done, "en")
    assert ("open", "r1", "/results/a.xlsx") in [verb for verb, _ in finished.buttons]
    assert notices_of(IDLE, done, "en") == ()  # an old result of an earlier day is no news
    (problem,) = notices_of(IDLE, STATES["problem"], "en")
    assert problem.text == "Bad."


def test_a_short_run_that_began_and_ended_between_two_looks_is_told() -> None:
    before = {**IDLE, "recent": [FINISHED]}
    after = {**IDLE, "recent": [{**FINISHED, "id": "r2", "ended": 2.0}, FINISHED]}
    assert [notice.title for notice in notices_of(before, after, "en")] == ["Finished: Invoices"]


def test_policy_silences_notifications_or_keeps_names_out_of_them() -> None:
    def ruled(state: str, choice: str) -> dict[str, Any]:
        return {**STATES[state], "desktop": {"hidden": [], "notifications": choice}}

    done = {**ruled("idle", "private"), "recent": [FINISHED]}
    private = [
        *notices_of(STATES["working"], done, "en"),
        *notices_of(IDLE, ruled("problem", "private"), "en"),
        *notices_of(IDLE, ruled("waiting", "private"), "en"),
    ]
    assert len(private) == 3
    said = " ".join(f"{notice.title} {notice.text}" for notice in private)
    assert "Invoices" not in said
    assert "Bad." not in said
    assert notices_of(IDLE, ruled("waiting", "off"), "en") == ()


@given(st.sets(st.sampled_from(NAMES)))
def test_policy_hides_lines_of_the_menu_and_leaves_it_tidy(hidden: set[str]) -> None:
    whole = menu_of(IDLE, [], "en")
    ruled = {**IDLE, "desktop": {"hidden": sorted(hidden), "notifications": "full"}}
    lines = menu_of(ruled, [], "en")
    assert [one for one in whole if one.name not in hidden and not one.separator] == [
        one for one in lines if not one.separator
    ]
    edges = [True, *(one.separator for one in lines), True]
    assert not any(a and b for a, b in pairwise(edges)) or not lines


@pytest.mark.parametrize(("code", "place"), [("policy", "policy"), ("audit", "audit")])
def test_a_problem_has_a_line_that_leads_to_it(code: str, place: str) -> None:
    overview = {**STATES["problem"], "problems": [{"code": code, "text": "Bad.\nVery."}]}
    assert menu_of(overview, [], "en")[0] == Entry("Problem: Bad. Very.", ("dashboard", place))
    assert "Bad." in tooltip_of(overview, "en")
    gone = menu_of(unreachable("The log was changed."), [], "en")
    assert [one.text for one in gone[:2]] == ["Problem: The log was changed.", "Start Hivekeep"]


def test_the_words_of_both_languages_fit() -> None:
    assert ENGLISH.keys() == CHINESE.keys()
    assert all("{count}" in CHINESE[k] for k in ENGLISH if "{count}" in ENGLISH[k])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dark", [True, False])
def test_states_differ_by_shape_and_not_by_colour_alone(size: int, dark: bool) -> None:
    looks = [Look("idle"), Look("working", 0.5), Look("waiting", count=3), Look("paused"),
             Look("problem")]  # fmt: skip
    shapes = []
    for look in looks:
        image = draw(look, size, dark=dark)
        assert image.size == (size, size)
        paper = Image.new("RGBA", image.size, (30, 30, 30, 255) if dark else (245, 245, 245, 255))
        shapes.append(Image.alpha_composite(paper, image).convert("L"))
    for index, one in enumerate(shapes):
        for other in shapes[index + 1 :]:
            changed = ImageChops.difference(one, other).point(lambda v: 255 if v > 40 else 0)
            assert changed.histogram()[255] >= size * size * 0.02


@given(st.times(), st.times(), st.times())
def test_quiet_hours_hold_also_over_midnight(begin: Any, end: Any, now: Any) -> None:
    begin, end = begin.replace(second=0, microsecond=0), end.replace(second=0, microsecond=0)
    settings = Settings(quiet_from=f"{begin:%H:%M}", quiet_to=f"{end:%H:%M}")
    moment = datetime.combine(date(2026, 1, 1), now)
    inside = begin <= now < end if begin <= end else now >= begin or now < end
    assert settings.silent(moment) is inside
    assert replace(settings, do_not_disturb=True).silent(moment)


@pytest.mark.parametrize(
    "changes",
    [{"theme": "pink"}, {"quiet_from": "25:00"}, {"popup": 1}, {"new": True}, {"language": "de"}],
)
def test_impossible_settings_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        checked(changes, Settings())


def test_policy_hides_entries_and_the_separators_between_none() -> None:
    rules = {"hidden": ["files", "screenshot", "drop_folder", "run_now", "policy", "ask"],
             "clipboard": "deny", "notifications": "full"}  # fmt: skip
    entries = menu_of({**IDLE, "desktop": rules}, [], "en")
    verbs = {line.action[0] for line in flat(entries) if line.action}
    assert not verbs & {"files", "clipboard", "screenshot", "drop_folder", "run_watch"}
    assert verbs >= {"popup", "pause", "quit"}
    neighbours = itertools.pairwise(entries)
    assert not any(one.separator and other.separator for one, other in neighbours)


def test_notifications_say_what_policy_lets_them() -> None:
    before = {**IDLE, "runs": [RUN]}
    after = {**IDLE, "recent": [FINISHED], "problems": [{"code": "policy", "text": "secret.pdf"}]}

    def told(allowed: str) -> str:
        return str(notices_of(before, {**after, "desktop": {"notifications": allowed}}, "en"))

    assert "Invoices" in told("full")
    assert "secret.pdf" in told("full")
    assert told("off") == "()"
    private = told("private")
    assert "Finished: a run" in private
    assert not any(word in private for word in ("Invoices", "secret.pdf", "a.xlsx"))
