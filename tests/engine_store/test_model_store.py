"""Listing, resolving, verifying and removing models, and the catalog."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from tests.engine_store.loopback import MakeBench, make_entry

from hivekeep.domain.errors import ConfigError, ModelStoreError, NotFoundError, PolicyDeniedError
from hivekeep.engine.store import DEFAULT_MODEL, ModelState, ModelStore, load_catalog
from hivekeep.engine.store.index import index_url
from hivekeep.engine.store.permit import no_network


def test_the_built_in_catalog_names_three_models_with_every_fact() -> None:
    catalog = load_catalog()
    assert list(catalog) == [
        DEFAULT_MODEL,
        "qwen2.5-coder-0.5b-instruct-q4_k_m",
        "smollm2-135m-instruct-q4_1",
    ]
    for entry in catalog.values():
        assert entry.memory > entry.size
        assert [source.kind for source in entry.sources] == [
            "package_index",
            "huggingface",
            "folder",
        ]


def test_an_unknown_model_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=DEFAULT_MODEL):
        ModelStore(tmp_path).entry("gpt-5")


def test_states_and_paths(bench: MakeBench, weights: bytes) -> None:
    store = bench(make_entry(weights)).store
    assert [s.state for s in store.list()] == [ModelState.ABSENT]
    path = store.list()[0].path
    path.parent.mkdir()
    path.write_bytes(weights)
    assert [s.state for s in store.list()] == [ModelState.PARTIAL]
    assert store.verify("tiny").ok
    assert [s.state for s in store.list()] == [ModelState.INSTALLED]


def test_an_absent_model_says_how_to_get_it(bench: MakeBench, weights: bytes) -> None:
    store = bench(make_entry(weights)).store
    for ask in (store.resolve, store.verify):
        with pytest.raises(ModelStoreError) as caught:
            ask("tiny")
        assert caught.value.next_step == "hivekeep models pull tiny"


def test_a_file_put_there_by_hand_is_verified_when_first_used(
    bench: MakeBench, weights: bytes
) -> None:
    made = bench(make_entry(weights))
    made.folder.mkdir()
    path = made.folder / "tiny.gguf"
    path.write_bytes(bytes(len(weights)))
    with pytest.raises(ModelStoreError, match="not the model"):
        made.store.resolve("tiny")
    path.write_bytes(weights)
    assert made.store.resolve("tiny") == path
    assert made.store.is_installed("tiny")


def test_a_file_changed_after_verification_does_not_count_as_installed(
    bench: MakeBench, weights: bytes
) -> None:
    made = bench(make_entry(weights))
    made.folder.mkdir()
    path = made.folder / "tiny.gguf"
    path.write_bytes(weights)
    made.store.resolve("tiny")
    path.write_bytes(weights[::-1])
    os.utime(path, ns=(1, 1))
    assert not made.store.is_installed("tiny")
    result = made.store.verify("tiny")
    assert not result.ok
    assert result.actual != result.expected == made.store.entry("tiny").sha256
    with pytest.raises(ModelStoreError, match="not the model"):
        made.store.resolve("tiny")


def test_a_stamp_of_another_hash_does_not_count(bench: MakeBench, weights: bytes) -> None:
    made = bench(make_entry(weights))
    made.folder.mkdir()
    (made.folder / "tiny.gguf").write_bytes(weights)
    made.store.resolve("tiny")
    stamp = made.folder / "tiny.gguf.sha256"
    stamp.write_text(stamp.read_text().replace(made.store.entry("tiny").sha256, "0" * 64))
    assert not made.store.is_installed("tiny")
    stamp.write_text("no json")
    assert not made.store.is_installed("tiny")


def test_remove_frees_the_file_and_what_downloads_left(bench: MakeBench, weights: bytes) -> None:
    made = bench(make_entry(weights))
    made.folder.mkdir()
    (made.folder / "tiny.gguf").write_bytes(weights)
    made.store.resolve("tiny")
    (made.folder / "tiny.partial").mkdir()
    (made.folder / "tiny.partial" / "weights").write_bytes(b"12345")
    assert made.store.remove("tiny") == len(weights) + 5
    assert made.left() == []
    assert made.store.remove("tiny") == 0


def test_by_default_no_host_is_permitted() -> None:
    with pytest.raises(PolicyDeniedError):
        no_network("pypi.org")


def test_a_users_catalog_adds_models(tmp_path: Path, weights: bytes) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(weights)
    entry = make_entry(weights, {"kind": "file", "path": str(own)}, name="own")
    models = tmp_path / "models"
    models.mkdir()
    (models / "catalog.yaml").write_text(
        yaml.safe_dump({"models": [entry.model_dump(mode="json")]})
    )
    store = ModelStore(models)
    assert store.pull("own").read_bytes() == weights
    assert store.entry(DEFAULT_MODEL).licence == "Apache-2.0"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("models: [{name: ../x}]", "models.0.name"),
        ("models: [", "expected"),
        ("models: 3", "models"),
        ("- !!python/object/apply:os.system [true]", "could not determine a constructor"),
        ("models: []\nextra: 1", "extra"),
    ],
)
def test_a_wrong_user_catalog_is_a_clear_error(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "catalog.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=why) as caught:
        load_catalog(path)
    assert str(path) in caught.value.what


def test_a_user_cannot_redefine_a_built_in_model(tmp_path: Path, weights: bytes) -> None:
    entry = make_entry(weights, name=DEFAULT_MODEL).model_dump(mode="json")
    (tmp_path / "catalog.yaml").write_text(yaml.safe_dump({"models": [entry]}))
    with pytest.raises(ConfigError, match="taken"):
        ModelStore(tmp_path)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "https://pypi.org/simple"),
        ({"PIP_INDEX_URL": "https://b/simple/"}, "https://b/simple"),
        ({"UV_DEFAULT_INDEX": "corp=https://a/s", "PIP_INDEX_URL": "https://b"}, "https://a/s"),
    ],
)
def test_the_index_is_the_one_other_tools_use(environment: dict[str, str], expected: str) -> None:
    assert index_url(environment) == expected
