"""Pictures of the screen get names of their own, however quickly they follow one another."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from hivekeep_ui.tray.screenshot import place_for


def test_pictures_of_the_same_second_do_not_take_each_others_place(tmp_path: Path) -> None:
    now = datetime(2026, 11, 26, 7, 30, 5)  # noqa: DTZ001 - a name in local time
    places = [place_for(tmp_path, now) for _ in range(3)]
    assert [place.name for place in places] == [
        "screenshot-20261126-073005.png",
        "screenshot-20261126-073005-2.png",
        "screenshot-20261126-073005-3.png",
    ]
    assert all(place.stat().st_mode & 0o077 == 0 for place in places)
