"""The two steps of publishing, with every crash between them, and the other two formats."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.deliverables.reports import example, failed, one_value, outcome, renamed, report, value

from hivekeep.deliverables import ChildPublisher, ReportPublisher
from hivekeep.deliverables.data import report_json
from hivekeep.deliverables.prose import escape, escape_line, report_markdown
from hivekeep.domain.errors import StorageError
from hivekeep.domain.fields import FieldSpec, FieldType
from hivekeep.domain.report import RunReport
from hivekeep.domain.values import ValueStatus
from hivekeep.files import Folder
from hivekeep.sandbox import system
from hivekeep.swarm.ports import Publisher

STEM = "invoices 2026-11-24 0803 7f3a9c21"


@pytest.fixture
def publisher() -> ReportPublisher:
    return ReportPublisher(UTC)


def prose() -> RunReport:
    fields = (
        FieldSpec("summary", FieldType.PROSE, title="Summary", grounded=False),
        FieldSpec("kind", FieldType.CHOICE, title="Kind"),
    )
    text = "First *line*.\n\n![x](http://evil.example/a.png) <img src=x> https://evil.example"
    done = outcome(
        "/in/letter #1.txt",
        value("summary", text, ValueStatus.JUDGED),
        value("kind", "letter", ValueStatus.NEEDS_REVIEW, reason="Unsure."),
    )
    return report([done, failed()], fields)


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def everything(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_is_what_the_swarm_asks_for(publisher: ReportPublisher) -> None:
    asked: Publisher = publisher
    assert asked is publisher


def test_nothing_is_visible_before_it_is_published(
    publisher: ReportPublisher, tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "results"
    prepared = publisher.prepare(example(), folder)
    assert visible(folder) == []
    for item in prepared:
        temporary = Path(item["temporary"])
        assert temporary.parent == folder
        assert temporary.name.startswith(".")
        assert temporary.name.endswith(".hivekeep-part")
        data = temporary.read_bytes()
        assert item["sha256"] == hashlib.sha256(data).hexdigest()
        assert item["size"] == len(data)
    paths = [publisher.publish(json.loads(json.dumps(item))) for item in prepared]
    assert [path.name for path in paths] == [f"{STEM}.xlsx", f"{STEM}.json"]
    assert everything(folder) == [f"{STEM}.json", f"{STEM}.xlsx"]


def test_prose_comes_as_markdown_too(publisher: ReportPublisher, tmp_path: Path) -> None:
    prepared = publisher.prepare(prose(), tmp_path)
    assert [Path(item["target"]).suffix for item in prepared] == [".xlsx", ".json", ".md"]


def test_a_taken_name_is_never_overwritten(publisher: ReportPublisher, tmp_path: Path) -> None:
    mine = tmp_path / f"{STEM}.json"
    mine.write_text("mine")
    paths = [publisher.publish(item) for item in publisher.prepare(example(), tmp_path)]
    assert [path.name for path in paths] == [f"{STEM} (2).xlsx", f"{STEM} (2).json"]
    assert mine.read_text() == "mine"


def test_a_name_that_is_taken_meanwhile_is_not_overwritten_either(
    publisher: ReportPublisher, tmp_path: Path
) -> None:
    first, _ = publisher.prepare(example(), tmp_path)
    Path(first["target"]).write_text("mine")
    path = publisher.publish(first)
    assert path.name == f"{STEM} (2).xlsx"
    assert Path(first["target"]).read_text() == "mine"
    assert publisher.publish(first) == path


def test_publishing_again_after_it_was_done_changes_nothing(
    publisher: ReportPublisher, tmp_path: Path
) -> None:
    (first, _) = publisher.prepare(example(), tmp_path)
    path = publisher.publish(first)
    before = path.stat()
    assert publisher.publish(first) == path
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert visible(tmp_path) == [path.name]


def test_a_crash_between_link_and_unlink_leaves_one_file(
    publisher: ReportPublisher, tmp_path: Path
) -> None:
    (first, _) = publisher.prepare(example(), tmp_path)
    os.link(first["temporary"], first["target"])
    assert publisher.publish(first) == Path(first["target"])
    assert not Path(first["temporary"]).exists()
    assert visible(tmp_path) == [f"{STEM}.xlsx"]


def test_a_crash_during_preparing_leaves_nothing_behind(
    publisher: ReportPublisher, tmp_path: Path
) -> None:
    (tmp_path / f".{STEM}.xlsx.hivekeep-part").write_text("half a workbook")
    for item in publisher.prepare(example(), tmp_path):
        publisher.publish(item)
    assert everything(tmp_path) == [f"{STEM}.json", f"{STEM}.xlsx"]


def test_a_link_in_place_of_the_temporary_file_is_not_followed(
    publisher: ReportPublisher, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / f".{STEM}.xlsx.hivekeep-part").symlink_to(victim)
    for item in publisher.prepare(example(), folder):
        publisher.publish(item)
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("meddle", ["remove", "change"])
def test_a_temporary_file_that_others_touched_is_not_published(
    publisher: ReportPublisher, tmp_path: Path, meddle: str
) -> None:
    (first, _) = publisher.prepare(example(), tmp_path)
    if meddle == "remove":
        Path(first["temporary"]).unlink()
    else:
        Path(first["temporary"]).write_text("something else")
    with pytest.raises(StorageError, match="resume"):
        publisher.publish(first)
    assert visible(tmp_path) == []


@pytest.mark.parametrize("renames", [True, False], ids=["renameat2", "over a file of our own"])
def test_a_file_system_without_links_serves_too(
    publisher: ReportPublisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, renames: bool
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    if not renames:
        monkeypatch.setattr(system, "syscall", refuse)
    first, second = publisher.prepare(example(), tmp_path)
    Path(second["target"]).write_text("mine")
    assert publisher.publish(first) == Path(first["target"])
    assert publisher.publish(first) == Path(first["target"])
    assert publisher.publish(second).name == f"{STEM} (2).json"
    assert Path(second["target"]).read_text() == "mine"


@pytest.mark.parametrize(
    ("number", "advice"), [(errno.ENOSPC, "Free some disk space"), (errno.EROFS, "another folder")]
)
def test_a_disk_that_refuses_is_said_clearly_and_cleaned_up(
    publisher: ReportPublisher,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    advice: str,
) -> None:
    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageError) as caught:
        publisher.prepare(example(), tmp_path)
    assert str(tmp_path) in caught.value.what
    assert os.strerror(number) in caught.value.why
    assert advice in caught.value.next_step
    assert everything(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_during_writing(
    publisher: ReportPublisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)

    def full(*_: Any, **__: Any) -> int:
        return os.open("/dev/full", os.O_RDWR)

    monkeypatch.setattr(Folder, "create", full)
    with pytest.raises(StorageError, match="Free some disk space"):
        publisher.prepare(example(), tmp_path)


def test_a_folder_that_is_a_file_is_said_clearly(
    publisher: ReportPublisher, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="another folder"):
        publisher.prepare(example(), tmp_path / "file")


def test_a_recipe_cannot_name_its_way_out_of_the_folder(
    publisher: ReportPublisher, tmp_path: Path
) -> None:
    folder = tmp_path / "results"
    made = renamed(example(), recipe="../../" + "x" * 300)
    for item in publisher.prepare(made, folder):
        assert publisher.publish(item).parent == folder
    assert everything(tmp_path) == ["results"]


def test_json_holds_every_value_with_its_evidence() -> None:
    data = json.loads(report_json(example()))
    assert data["format"] == "hivekeep-report/1"
    assert data["model"]["sha256"] == "ef" * 32
    first, _, third, fourth = data["documents"]
    assert first["values"]["total"]["value"] == "1231.06"
    assert first["values"]["total"]["evidence"][0]["quote"] == "Gesamtbetrag EUR 1.231,06"
    assert first["values"]["lines"]["rows"][0]["quantity"]["value"] == "2.5"
    assert third["needs_review"] is True
    assert third["values"]["net"]["status"] == "derived"
    assert fourth["failure"]["reason"] == "encrypted"
    assert "发票" in report_json(example()).decode()


@given(st.text(st.characters(), max_size=40), st.text(st.characters(), max_size=40))
def test_json_gives_back_any_text(text: str, path: str) -> None:
    made = one_value(FieldType.TEXT, text)
    data = json.loads(report_json(renamed(made, title=path)).decode())
    assert data["documents"][0]["values"]["field"]["value"] == text
    assert data["title"] == path


def test_markdown_shows_hostile_prose_as_text() -> None:
    text = report_markdown(prose()).decode()
    assert "# Invoices: inbox" in text
    assert "## letter \\#1.txt" in text
    assert "First \\*line\\*." in text
    assert "\\!\\[x\\]" in text
    assert "<img" not in text.replace("\\<img", "")
    assert "https://" not in text
    assert "- Kind: letter (needs review)" in text
    assert "> Kind: Unsure." in text
    assert "**No result.** 'locked.pdf' is protected with a password." in text


@given(st.text(st.characters(), max_size=60))
def test_markdown_has_no_active_character_left(text: str) -> None:
    for shown in (escape(text), escape_line(text)):
        shown.encode("utf-8")
        bare = shown.replace("\\\\", "")
        for position, character in enumerate(bare):
            if character in "`*_[]<>#&|~$!":
                assert position > 0
                assert bare[position - 1] == "\\"
    assert "\n" not in escape_line(text)


def test_a_child_process_writes_the_same_files(tmp_path: Path) -> None:
    here, child = tmp_path / "here", tmp_path / "child"
    ours = ReportPublisher().prepare(example(), here)
    theirs = ChildPublisher().prepare(example(), child)
    assert [item["sha256"] for item in theirs] == [item["sha256"] for item in ours]
    assert everything(child) == everything(here)


def test_a_child_process_reports_what_it_could_not_do(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StorageError, match="could not be written into") as caught:
        ChildPublisher().prepare(example(), tmp_path / "taken")
    assert caught.value.next_step == "Choose another folder for the results."


def test_a_child_process_that_cannot_start_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/nonexistent/python")
    with pytest.raises(StorageError, match="could not be rendered"):
        ChildPublisher().prepare(example(), tmp_path)
