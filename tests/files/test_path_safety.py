"""Paths that lead elsewhere than they say, and one that changes its mind all the time."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hivekeep.daemon.mover import InputMover
from hivekeep.domain.errors import StorageError
from hivekeep.files import (
    Folder,
    Identity,
    MovedError,
    NameProblem,
    check_name,
    fold,
    name_problem,
    open_file,
    open_place,
)
from hivekeep.sandbox import system

Open = Callable[[str], int]


@pytest.fixture(params=["openat2", "walk"])
def opened(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Open:
    """``open_file``, once by the kernel's own call and once step by step."""
    if request.param == "walk":
        monkeypatch.setattr(system, "LINUX", False)
    return open_file


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "private" / "secret.txt"
    path.parent.mkdir()
    path.write_text("the secret")
    return path


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    (folder / "a.txt").write_text("words")
    return folder


def content(descriptor: int) -> str:
    with os.fdopen(descriptor) as file:
        return file.read()


def test_a_plain_file_is_opened(opened: Open, inbox: Path) -> None:
    assert content(opened(str(inbox / "a.txt"))) == "words"


def test_a_link_in_the_last_place(opened: Open, inbox: Path, secret: Path) -> None:
    (inbox / "b.txt").symlink_to(secret)
    with pytest.raises(MovedError):
        opened(str(inbox / "b.txt"))


def test_a_link_in_the_middle(opened: Open, inbox: Path, secret: Path) -> None:
    (inbox / "folder").symlink_to(secret.parent)
    with pytest.raises(MovedError):
        opened(str(inbox / "folder" / "secret.txt"))


def test_a_link_through_proc(opened: Open, secret: Path) -> None:
    with secret.open() as file, pytest.raises(OSError, match="elsewhere"):
        opened(f"/proc/self/fd/{file.fileno()}")


def test_a_file_with_other_names_where_that_matters(inbox: Path, secret: Path) -> None:
    (inbox / "c.txt").hardlink_to(secret)
    assert content(open_file(str(inbox / "c.txt"))) == "the secret"
    with pytest.raises(MovedError):
        open_file(str(inbox / "c.txt"), hard_links=False)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_what_is_no_file(opened: Open, inbox: Path, make: Callable[[Path], None]) -> None:
    make(inbox / "odd")
    with pytest.raises(OSError, match="regular") as caught:
        opened(str(inbox / "odd"))
    assert caught.value.errno == errno.EINVAL


def test_upwards_out_of_a_folder(inbox: Path, secret: Path) -> None:
    with Folder.open(str(inbox)) as folder:
        for name in ("../private/secret.txt", "..", "/etc/passwd", "a.txt/.."):
            with pytest.raises(OSError):  # noqa: PT011 - several kinds of refusal
                folder.open_file(name)
        for name in ("../x", "a/b", "", ".", "a\\b"):
            with pytest.raises(ValueError, match="."):  # noqa: RUF043
                folder.create(name)


def test_another_mount_below_a_folder(inbox: Path) -> None:
    (inbox / "mount").mkdir()
    (inbox / "mount" / "m.txt").write_text("below")
    code = (
        "import os, sys\n"
        "from hivekeep.sandbox import namespaces, system\n"
        "from hivekeep.files import Folder, MovedError\n"
        "namespaces.leave_everything()\n"
        "system.mount('', '/', '', system.MS_REC | system.MS_PRIVATE)\n"
        "system.mount('tmpfs', sys.argv[1] + '/mount', 'tmpfs', 0)\n"
        "open(sys.argv[1] + '/mount/m.txt', 'w').close()\n"
        "for linux in (True, False):\n"
        "    system.LINUX = linux\n"
        "    try:\n"
        "        Folder.open(sys.argv[1]).open_file('mount/m.txt')\n"
        "    except MovedError:\n"
        "        print('refused')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(inbox)], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "service")},
    )  # fmt: skip
    if "unshare" in done.stderr:
        pytest.skip("this system gives users no namespaces")
    assert done.stdout.split() == ["refused", "refused"], done.stderr


def test_a_folder_keeps_its_place_when_its_path_is_taken(tmp_path: Path, secret: Path) -> None:
    place = tmp_path / "results"
    with Folder.make(str(place)) as folder:
        place.rename(tmp_path / "elsewhere")
        place.symlink_to(secret.parent)
        os.close(folder.create("out.txt"))
    assert (tmp_path / "elsewhere" / "out.txt").exists()
    assert not (secret.parent / "out.txt").exists()


def test_folders_are_not_made_through_a_link(tmp_path: Path, secret: Path) -> None:
    (tmp_path / "sorted").symlink_to(secret.parent)
    with pytest.raises(MovedError):
        Folder.make(str(tmp_path / "sorted" / "2026" / "may"))
    assert not (secret.parent / "2026").exists()


def test_a_taken_name_is_never_replaced_or_followed(tmp_path: Path, secret: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "x").symlink_to(secret)
    (tmp_path / "here" / "dangling").symlink_to(tmp_path / "nowhere")
    with Folder.open(str(tmp_path / "here")) as folder:
        for name in ("x", "dangling"):
            with pytest.raises(FileExistsError):
                folder.create(name)
        mine = folder.create("y")
        with pytest.raises(FileExistsError):
            folder.place(mine, "y", "x")
        os.close(mine)
    assert secret.read_text() == "the secret"
    assert not (tmp_path / "nowhere").exists()


def test_only_the_very_file_is_removed(inbox: Path) -> None:
    path = inbox / "a.txt"
    identity = Identity.of(path.stat())
    path.unlink()
    path.write_text("another")
    with Folder.open(str(inbox)) as folder:
        with pytest.raises(MovedError):
            folder.remove_exactly("a.txt", Identity(identity.device, identity.inode + 10**6))
        assert path.read_text() == "another"
        folder.remove_exactly("a.txt", Identity.of(path.stat()))
    assert list(inbox.iterdir()) == []


def test_a_race_never_yields_the_secret(opened: Open, inbox: Path, secret: Path) -> None:
    """The file and its folder are swapped for links as fast as the machine can."""
    target, ends = inbox / "a.txt", threading.Event()

    def swap() -> None:
        spare, link = inbox.parent / "spare", inbox.parent / "link"
        while not ends.is_set():
            link.symlink_to(secret.parent)
            inbox.rename(spare)
            link.rename(inbox)
            inbox.unlink()
            spare.rename(inbox)

    (secret.parent / "a.txt").write_text("the secret")
    swapper = threading.Thread(target=swap)
    swapper.start()
    seen: dict[str, int] = {}
    try:
        for _ in range(20_000):
            try:
                said = content(opened(str(target)))
            except OSError as error:
                said = type(error).__name__
            seen[said] = seen.get(said, 0) + 1
            if seen.get("MovedError", 0) > 20 and seen.get("words", 0) > 20:
                break
    finally:
        ends.set()
        swapper.join()
    assert "the secret" not in seen
    assert seen.get("words"), seen


class TestMover:
    def prepared(self, kind: str, source: Path, target: Path) -> dict[str, str]:
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        return InputMover().prepare(kind, source, target, digest)

    def test_a_move_and_its_repetition(self, inbox: Path, tmp_path: Path) -> None:
        target = tmp_path / "sorted" / "May" / "a.txt"
        prepared = self.prepared("move", inbox / "a.txt", target)
        assert InputMover().perform(prepared) == target
        assert InputMover().perform(prepared) == target
        assert target.read_text() == "words"
        assert list(inbox.iterdir()) == []
        assert [path.name for path in target.parent.iterdir()] == ["a.txt"]

    def test_a_target_folder_that_becomes_a_link(
        self, inbox: Path, tmp_path: Path, secret: Path
    ) -> None:
        prepared = self.prepared("move", inbox / "a.txt", tmp_path / "sorted" / "May" / "a.txt")
        (tmp_path / "sorted").symlink_to(secret.parent)
        with pytest.raises(StorageError, match="elsewhere"):
            InputMover().perform(prepared)
        assert (inbox / "a.txt").exists()
        assert [path.name for path in secret.parent.iterdir()] == ["secret.txt"]

    def test_a_source_that_becomes_a_link(self, inbox: Path, tmp_path: Path, secret: Path) -> None:
        prepared = self.prepared("copy", inbox / "a.txt", tmp_path / "out" / "a.txt")
        (inbox / "a.txt").unlink()
        (inbox / "a.txt").symlink_to(secret)
        with pytest.raises(StorageError):
            InputMover().perform(prepared)
        assert not (tmp_path / "out" / "a.txt").exists()

    def test_a_partial_file_that_is_a_link_is_not_written_through(
        self, inbox: Path, tmp_path: Path, secret: Path
    ) -> None:
        prepared = self.prepared("copy", inbox / "a.txt", tmp_path / "out" / "a.txt")
        (tmp_path / "out").mkdir()
        Path(prepared["partial"]).symlink_to(secret)
        InputMover().perform(prepared)
        assert secret.read_text() == "the secret"
        assert (tmp_path / "out" / "a.txt").read_text() == "words"

    def test_a_source_that_changed_is_not_copied(self, inbox: Path, tmp_path: Path) -> None:
        prepared = self.prepared("move", inbox / "a.txt", tmp_path / "out" / "a.txt")
        (inbox / "a.txt").write_text("other words")
        with pytest.raises(StorageError, match="changed"):
            InputMover().perform(prepared)
        assert (inbox / "a.txt").read_text() == "other words"
        assert list((tmp_path / "out").iterdir()) == []

    def test_a_target_that_somebody_else_made_is_kept(self, inbox: Path, tmp_path: Path) -> None:
        prepared = self.prepared("move", inbox / "a.txt", tmp_path / "out" / "a.txt")
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "a.txt").write_text("theirs")
        with pytest.raises(StorageError, match="another file"):
            InputMover().perform(prepared)
        assert (tmp_path / "out" / "a.txt").read_text() == "theirs"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", NameProblem.EMPTY),
        (".", NameProblem.PARENT),
        ("..", NameProblem.PARENT),
        ("a/b", NameProblem.SEPARATOR),
        ("a\\b", NameProblem.SEPARATOR),
        ("a\0b", NameProblem.CONTROL),
        ("a\nb", NameProblem.CONTROL),
        ("invoice\u202efdp.exe", NameProblem.CONTROL),
        ("CON", NameProblem.DEVICE),
        ("con.txt", NameProblem.DEVICE),
        ("nul .pdf", NameProblem.DEVICE),
        ("Com1", NameProblem.DEVICE),
        ("lpt³.log", NameProblem.DEVICE),
        ("aux:x", NameProblem.DEVICE),
        ("a.txt:hidden", NameProblem.STREAM),
        ("a.txt::$DATA", NameProblem.STREAM),
        ("C:evil", NameProblem.STREAM),
        ("a.txt.", NameProblem.TRAILING),
        ("a ", NameProblem.TRAILING),
        ("...", NameProblem.TRAILING),
        ("PROGRA~1", NameProblem.SHORT),
        ("PROGRA~1.TXT", NameProblem.SHORT),
        ("x" * 256, NameProblem.LONG),
        ("é" * 128, NameProblem.LONG),
        ("console.txt", None),
        ("com10.txt", None),
        ("Rechnung Mai (2).pdf", None),
        ("发票.pdf", None),
        (".hidden", None),
    ],
)
def test_names(name: str, problem: NameProblem | None) -> None:
    assert name_problem(name) == problem


@given(st.text(max_size=40))
def test_a_name_is_either_harmless_or_refused(name: str) -> None:
    if name_problem(name) is None:
        assert check_name(name) == name == os.path.normpath(name) == Path(name).name
        assert not set(name) & set("/\\:\0")
    else:
        with pytest.raises(ValueError, match="."):  # noqa: RUF043
            check_name(name)


@given(st.text(max_size=20))
def test_folding_ends(name: str) -> None:
    assert fold(fold(name)) == fold(name)


def test_names_that_are_one_on_some_system() -> None:
    assert fold("Ä.PDF") == fold("a\u0308.pdf")
    assert fold("Straße") == fold("STRASSE")
    assert fold("a") != fold("b")


def test_a_folder_is_opened_as_a_folder(inbox: Path) -> None:
    os.close(open_place(str(inbox)))
    with pytest.raises(OSError, match="elsewhere"):
        open_place(str(inbox / "a.txt"))
