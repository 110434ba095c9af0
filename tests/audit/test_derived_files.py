"""Files that can be made again are made by several threads at once without harm."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hivekeep.audit.files import clear_derived, write_derived


def test_threads_that_write_the_same_file_all_succeed(tmp_path: Path) -> None:
    place = tmp_path / "1.index"
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: write_derived(place, bytes([n]) * 4096), range(200)))
    data = place.read_bytes()
    assert data == data[:1] * 4096
    assert list(tmp_path.iterdir()) == [place]


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    place = tmp_path / "1.index"
    place.mkdir()
    (place / "in the way").touch()
    with pytest.raises(OSError, match=r"1\.index"):
        write_derived(place, b"x")
    assert list(tmp_path.iterdir()) == [place]


def test_what_a_kill_left_goes_after_an_hour(tmp_path: Path) -> None:
    old, young, kept = (tmp_path / name for name in ("1.index.a.new", "1.index.b.new", "1.index"))
    for path in (old, young, kept):
        path.touch()
    os.utime(old, (1.0, 1.0))
    os.utime(kept, (1.0, 1.0))
    clear_derived(tmp_path)
    assert sorted(tmp_path.iterdir()) == [kept, young]
