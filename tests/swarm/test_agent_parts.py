"""Small parts of an agent that meet text from models."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hivekeep.domain.errors import EngineError
from hivekeep.swarm.answers import parse_answer
from hivekeep.swarm.filing import safe_folder


@given(st.text())
def test_a_suggested_folder_is_one_harmless_name(name: str) -> None:
    folder = safe_folder(name)
    assert folder
    assert "/" not in folder
    assert "\\" not in folder
    assert folder not in (".", "..")
    assert len(folder) <= 60
    assert folder == folder.strip(" .")


def test_an_answer_that_was_cut_off_keeps_its_beginning() -> None:
    cut = '{"a": "x", "b": [{"c": "1"}, {"c": "2'
    assert parse_answer(cut) == {"a": "x", "b": [{"c": "1"}, {}]}
    assert parse_answer('["not an object"]') == {}
    with pytest.raises(EngineError):
        parse_answer("I am sorry")
