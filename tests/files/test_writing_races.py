"""Results and files of agents, written into a folder that is swapped for a link all the time."""

from __future__ import annotations

import base64
import ctypes
import hashlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC
from pathlib import Path

import pytest
from tests.deliverables.reports import example

from hivekeep.daemon.previews import state_of
from hivekeep.deliverables import ReportPublisher
from hivekeep.domain.errors import StorageError
from hivekeep.files import Folder, MovedError
from hivekeep.files import folder as folders
from hivekeep.sandbox import system
from hivekeep.tools.files import was_written, write_new_file
from hivekeep.tools.spec import Happened

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="swaps with renameat2")
ATTEMPTS = 400
ENOUGH = 10


@pytest.fixture(params=["openat2", "walk"], autouse=True)
def road(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything once by the kernel's own call and once step by step."""
    if request.param == "walk":
        monkeypatch.setattr(system, "LINUX", False)


@pytest.fixture
def private(tmp_path: Path) -> Path:
    folder = tmp_path / "private"
    (folder / "results").mkdir(parents=True)
    return folder


@contextmanager
def swapping(place: Path, private: Path) -> Iterator[None]:
    """``place`` is a link to ``private`` half of the time."""
    ends = threading.Event()
    link = place.with_name("link")
    link.symlink_to(private)
    exchange = ctypes.CDLL(None).renameat2

    def swap() -> None:
        while not ends.is_set():
            # Both change places at one instant, so that there never is none.
            exchange(-100, bytes(place), -100, bytes(link), 2)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join()
        if place.is_symlink():
            exchange(-100, bytes(place), -100, bytes(link), 2)


def until_both(act: Callable[[int], bool]) -> None:
    """Act until it was done and refused often enough; a busy machine may do only one of them."""
    seen = {True: 0, False: 0}
    for number in range(ATTEMPTS):
        seen[act(number)] += 1
        if min(seen.values()) >= ENOUGH:
            break


def below(folder: Path) -> list[str]:
    return [name for _, _, files in os.walk(folder) for name in files]


def test_a_report_is_never_published_through_a_link(tmp_path: Path, private: Path) -> None:
    place = tmp_path / "out"
    (place / "results").mkdir(parents=True)
    publisher, report = ReportPublisher(UTC), example()
    kept = publisher.prepare(report, tmp_path / "kept")
    content = {item["sha256"]: Path(item["temporary"]).read_bytes() for item in kept}

    def publish(number: int) -> bool:
        item = {**kept[1], "target": str(place / "results" / f"{number}.json"),
                "temporary": str(place / "results" / f".{number}.part")}  # fmt: skip
        with suppress(OSError), Folder.open(str(place / "results")) as folder:
            descriptor = folder.create(f".{number}.part")
            os.write(descriptor, content[item["sha256"]])
            os.close(descriptor)
        try:
            publisher.publish(item)
        except StorageError:
            return False
        return True

    with swapping(place, private):
        until_both(publish)
    assert below(private) == []
    assert publish(ATTEMPTS), "without the swapping it is published"


def test_a_report_is_never_prepared_through_a_link(tmp_path: Path, private: Path) -> None:
    place = tmp_path / "out"
    place.mkdir()
    with swapping(place, private):
        for _ in range(8):
            with suppress(StorageError):
                ReportPublisher(UTC).prepare(example(), place / "results")
    assert below(private) == []


@pytest.mark.anyio
async def test_an_agents_file_is_never_written_through_a_link(
    tmp_path: Path, private: Path
) -> None:
    place, data = tmp_path / "out", b"words of an agent"
    (place / "results").mkdir(parents=True)
    seen = {True: 0, False: 0}
    with swapping(place, private):
        for number in range(ATTEMPTS):
            prepared = {
                "target": str(place / "results" / f"{number}.txt"),
                "sha256": hashlib.sha256(data).hexdigest(),
                "data": base64.b64encode(data).decode(),
            }
            try:
                await write_new_file(prepared)
                seen[True] += 1
            except StorageError:
                seen[False] += 1
            if min(seen.values()) >= ENOUGH:
                break
    assert below(private) == []
    await write_new_file({**prepared, "target": str(place / "results" / "last.txt")})
    assert {path.read_bytes() for path in (place / "results").iterdir()} == {data}


def test_what_is_placed_is_what_was_hashed(tmp_path: Path) -> None:
    """The temporary name is given to another file between hashing and placing."""
    publisher = ReportPublisher(UTC)
    kept = publisher.prepare(example(), tmp_path / "kept")[1]
    content = Path(kept["temporary"]).read_bytes()
    place = tmp_path / "out"
    place.mkdir()
    (tmp_path / "evil").write_text("another report")
    ends = threading.Event()

    def swap() -> None:
        number = 0
        while not ends.is_set():
            number += 1
            other = tmp_path / f"evil-{number}"
            with suppress(OSError):
                other.hardlink_to(tmp_path / "evil")
                other.replace(place / ".a.part")

    thread = threading.Thread(target=swap)
    thread.start()
    published = 0
    try:
        for number in range(ATTEMPTS):
            with suppress(OSError), Folder.open(str(place)) as folder:
                folder.remove(".a.part")
                descriptor = folder.create(".a.part")
                os.write(descriptor, content)
                os.close(descriptor)
            item = {**kept, "temporary": str(place / ".a.part"),
                    "target": str(place / f"{number}.json")}  # fmt: skip
            with suppress(StorageError):
                publisher.publish(item)
                published += 1
            if published >= ENOUGH:
                break
    finally:
        ends.set()
        thread.join()
    assert all(path.read_bytes() == content for path in place.glob("*.json"))


def test_a_file_of_another_name_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "LINUX", False)
    with Folder.open(str(tmp_path)) as folder:
        mine = folder.create("part")
        folder.remove("part")
        (tmp_path / "part").write_text("another file")
        with pytest.raises(MovedError):
            folder.place(mine, "part", "visible")
        os.close(mine)
    assert [path.name for path in tmp_path.iterdir()] == ["part"]


def test_whether_it_was_written_is_not_asked_through_a_link(tmp_path: Path, private: Path) -> None:
    (private / "a.txt").write_text("words")
    (tmp_path / "out").symlink_to(private)
    sha256 = hashlib.sha256(b"words").hexdigest()
    asked = {"target": str(tmp_path / "out" / "a.txt"), "sha256": sha256}
    assert was_written(asked) is Happened.UNKNOWN
    assert was_written({**asked, "target": str(private / "a.txt")}) is Happened.YES
    assert was_written({**asked, "target": str(private / "no" / "a.txt")}) is Happened.NO


def test_a_preview_shows_the_link_and_not_what_it_leads_to(tmp_path: Path, private: Path) -> None:
    (private / "a.txt").write_text("words")
    (tmp_path / "link").symlink_to(private / "a.txt")
    shown = state_of(str(tmp_path / "link"))
    assert shown.exists
    assert shown.sha256 == ""
    assert state_of(str(private / "a.txt")).sha256 == hashlib.sha256(b"words").hexdigest()


def test_a_folder_that_a_person_named_may_be_called_anything(tmp_path: Path) -> None:
    prepared = ReportPublisher(UTC).prepare(example(), tmp_path / "Q1: results" / "aux")
    assert Path(prepared[0]["temporary"]).exists()


def test_without_relative_names_the_same_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The road that Windows takes, as far as it can be gone here."""
    monkeypatch.setattr(folders, "RELATIVE", False)
    publisher = ReportPublisher(UTC)
    place = tmp_path / "new" / "results"
    for number in range(2):
        paths = [publisher.publish(item) for item in publisher.prepare(example(), place)]
        assert [path.stem.endswith(f"({number + 1})") for path in paths] == [number > 0] * 2
    assert len(list(place.iterdir())) == 4
    with Folder.open(str(place)) as folder:
        mine = folder.create("part")
        (place / "taken").write_text("theirs")
        with pytest.raises(FileExistsError):
            folder.place(mine, "part", "taken")
        identity = folder.identity("part")
        assert identity is not None
        with pytest.raises(MovedError):
            folder.remove_exactly("taken", identity)
        assert folder.left_aside("taken") == []
        folder.remove_exactly("part", identity)
        os.close(mine)
        with pytest.raises(ValueError, match="separator"):
            folder.open_file("../x")
    assert (place / "taken").read_text() == "theirs"
