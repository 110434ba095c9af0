"""Decisions of the watcher that need no file: settling, names, mounts."""

from __future__ import annotations

from pathlib import Path, PurePath
from types import SimpleNamespace

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hivekeep.triggers import Fingerprint, WatchConfig
from hivekeep.triggers.names import is_inside, is_temporary, is_wanted
from hivekeep.triggers.remote import is_remote
from hivekeep.triggers.settle import Settling, Verdict, Waits, Window

NAMES = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=40).filter(
    lambda name: name not in (".", "..")
)
STEPS = st.lists(
    st.tuples(
        st.floats(0.01, 3.0),
        st.sampled_from(["look", "look", "touch", "close"]),
        st.integers(0, 2),
    ),
    max_size=40,
)


def config(**changes: object) -> WatchConfig:
    values: dict[str, object] = {
        "id": "w1", "folder": "/in", "recipe": "r", "recipe_hash": "h", "output": "/out", **changes
    }  # fmt: skip
    return WatchConfig(**values)  # type: ignore[arg-type]


@given(STEPS, st.floats(0.5, 2.0), st.floats(0.0, 0.5))
def test_a_file_settles_only_after_a_quiet_time_without_any_change(
    steps: list[tuple[float, str, int]], settle_seconds: float, closed_seconds: float
) -> None:
    settling = Settling(Waits(settle_seconds, closed_seconds))
    now = 0.0
    settling.touch("f", now)
    last_sign, last_seen, closed = now, None, False
    for wait, what, size in steps:
        now += wait
        if what != "look":
            closed = what == "close"
            settling.touch("f", now, closed=closed)
            last_sign, last_seen = now, None
            continue
        seen = Fingerprint(size, 0, 0)
        if seen != last_seen:
            closed = closed and last_seen is None
            last_sign, last_seen = now, seen
        settled = settling.observe("f", seen, now) is Verdict.SETTLED
        quick = closed and size > 0
        assert settled == (now >= last_sign + (closed_seconds if quick else settle_seconds))
        if settled:
            settling.take("f")
            assert "f" not in settling
            return


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 10)), min_size=1, max_size=30))
def test_every_pending_file_is_due_some_time_and_never_twice(
    touches: list[tuple[str, float]],
) -> None:
    settling = Settling(Waits(1.0, 0.1))
    for path, now in touches:
        settling.touch(path, now)
    seen: list[str] = []
    while (check_at := settling.next_check()) is not None:
        due = settling.due(check_at, 2)
        assert 0 < len(due) <= 2
        for path in due:
            seen.append(path)
            settling.drop(path)
    assert sorted(seen) == sorted({path for path, _ in touches})
    assert len(settling) == 0


@given(st.floats(0, 100), st.lists(st.floats(0, 5), max_size=30), st.floats(0, 10))
def test_a_batch_never_waits_for_ever(opened: float, gaps: list[float], batch: float) -> None:
    window = Window(opened, opened)
    for gap in gaps:
        window = Window(window.opened, window.latest + gap)
    assert window.closes_at(batch) <= opened + 30.0
    assert window.closes_at(batch) <= window.latest + batch


@given(NAMES)
def test_what_a_name_means_does_not_depend_on_its_case(name: str) -> None:
    if name.upper().casefold() == name.casefold():
        assert is_temporary(name) == is_temporary(name.upper())


@given(NAMES, st.sampled_from([".part", ".crdownload", ".TMP", "~", ".swp"]))
def test_unfinished_names_are_never_wanted(name: str, suffix: str) -> None:
    assert not is_wanted(config(), PurePath(name + suffix))
    assert not is_wanted(config(include=("*",)), PurePath("." + name))
    assert not is_wanted(config(recursive=True), PurePath("." + name, "invoice.pdf"))


@given(NAMES)
def test_an_exclude_pattern_wins_over_an_include_pattern(name: str) -> None:
    assert not is_wanted(config(include=("*",), exclude=("*",)), PurePath(name))


@pytest.mark.parametrize(
    ("changes", "path", "wanted"),
    [
        ({}, "a.pdf", True),
        ({}, "sub/a.pdf", False),
        ({"recursive": True}, "sub/a.pdf", True),
        ({"include": ("*.PDF",)}, "a.pdf", True),
        ({"include": ("*.pdf",)}, "A.PDF", True),
        ({"include": ("*.pdf",)}, "a.png", False),
        ({"recursive": True, "include": ("2026/*.pdf",)}, "2026/a.pdf", True),
        ({"recursive": True, "include": ("2026/*.pdf",)}, "2025/a.pdf", False),
        ({"exclude": ("[!a]*",)}, "a[1].pdf", True),
        ({}, "~$letter.docx", False),
        ({}, "Thumbs.db", False),
        ({}, "a.part.pdf", True),
    ],
)
def test_patterns(changes: dict[str, object], path: str, wanted: bool) -> None:
    assert is_wanted(config(**changes), PurePath(path)) is wanted


def test_a_folder_is_not_inside_itself_or_a_namesake() -> None:
    assert is_inside(PurePath("/a/b/c"), PurePath("/a"))
    assert not is_inside(PurePath("/a"), PurePath("/a"))
    assert not is_inside(PurePath("/ab"), PurePath("/a"))


@pytest.mark.parametrize(
    ("folder", "remote"),
    [
        ("/home/me", False),
        ("/mnt/share", True),
        ("/mnt/share/deep", True),
        ("/mnt/shared", False),
        ("/mnt/share/local", False),
        ("/mnt/cloud/x", True),
        ("/mnt/hidden", False),
    ],
)
def test_network_folders_are_known_by_their_mount(
    folder: str, remote: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = [
        ("/", "ext4"),
        ("/mnt/share", "cifs"),
        ("/mnt/share/local", "ext4"),
        ("/mnt/cloud", "fuse.sshfs"),
        ("/mnt/hidden", "nfs4"),
        ("/mnt/hidden", "xfs"),
    ]
    disks = [SimpleNamespace(mountpoint=place, fstype=kind, opts="rw") for place, kind in mounts]
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: disks)
    assert is_remote(Path(folder)) is remote
