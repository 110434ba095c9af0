"""Properties of the pure parts: frames, cleaning, lines, cells."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hivekeep.documents.cleaning import clean, squeeze
from hivekeep.documents.failures import Reason, display_name, failure
from hivekeep.documents.readers.layout import Word, arrange
from hivekeep.documents.readers.sheets import cell_text, column_name
from hivekeep.documents.wire import (
    HEADER,
    Frame,
    Pixels,
    Recognized,
    TextLine,
    WireError,
    decode_blocks,
    decode_done,
    decode_failure,
    decode_pixels,
    decode_recognized,
    encode_blocks,
    encode_done,
    encode_failure,
    encode_pixels,
    encode_recognized,
    longest,
)
from hivekeep.domain.documents import Block, BlockKind, Box, Document

fractions = st.floats(0, 1).map(lambda value: round(value, 5))
plain_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
boxes = st.builds(Box, fractions, fractions, fractions, fractions)
blocks = st.builds(
    Block,
    index=st.just(0),
    page=st.integers(1, 9999),
    text=plain_text,
    kind=st.sampled_from(BlockKind),
    box=st.none() | boxes,
    locator=plain_text,
    confidence=st.none() | fractions,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


def payload(frame: bytes) -> bytes:
    _, length = HEADER.unpack_from(frame)
    assert length == len(frame) - HEADER.size
    return frame[HEADER.size :]


@given(st.lists(blocks, max_size=8))
def test_blocks_survive_the_wire_and_are_numbered(sent: list[Block]) -> None:
    received = decode_blocks(payload(encode_blocks(sent)), 7)
    assert [block.index for block in received] == list(range(7, 7 + len(sent)))
    assert [(b.page, b.text, b.kind, b.box, b.locator, b.confidence) for b in received] == [
        (b.page, b.text, b.kind, b.box, b.locator, b.confidence) for b in sent
    ]


@given(plain_text, st.dictionaries(plain_text, plain_text, max_size=3))
def test_the_rest_survives_the_wire(text: str, metadata: dict[str, str]) -> None:
    document = Document(text, "text/plain", "00", 5, 2, (), (text,), metadata)
    assert decode_done(payload(encode_done(document)), ()) == document
    error = failure("a", Reason.DAMAGED, why=text)
    assert decode_failure(payload(encode_failure(error))).as_dict() == error.as_dict()
    found = Recognized((TextLine(text, 0.5, ((1.0, 2.0), (3.0, 4.0))),), text)
    assert decode_recognized(payload(encode_recognized(found))) == found
    pixels = Pixels(2, 1, 3, b"abcdef")
    assert decode_pixels(payload(encode_pixels(pixels))) == pixels


@given(st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()))
def test_nonsense_is_an_error_or_valid_and_nothing_else(data: bytes) -> None:
    def document(data: bytes) -> Any:
        return decode_done(data, ())

    def numbered(data: bytes) -> Any:
        return decode_blocks(data, 0)

    for decode in (numbered, document, decode_failure, decode_recognized, decode_pixels):
        try:
            decode(data)
        except WireError:
            continue


ROW: list[Any] = [1, "text", "paragraph", None, "", None]


@given(st.integers(0, 5), json_values)
def test_a_block_with_one_odd_value_is_an_error_or_valid(position: int, value: Any) -> None:
    row = [*ROW]
    row[position] = value
    try:
        (block,) = decode_blocks(json.dumps([row]).encode(), 0)
    except WireError:
        return
    block.text.encode()
    assert block.confidence is None or 0 <= block.confidence <= 1


@given(st.integers(0, 255))
def test_only_known_frames_have_a_length(kind: int) -> None:
    if kind in {int(frame) for frame in Frame}:
        assert longest(kind) > 0
    else:
        with pytest.raises(WireError):
            longest(kind)


@given(st.text())
def test_cleaned_text_is_one_visible_line(text: str) -> None:
    cleaned = clean(text).text
    assert clean(cleaned).text == cleaned
    assert cleaned.splitlines() in ([], [cleaned])
    cleaned.encode()
    assert not any(unicodedata.category(c) == "Cc" for c in cleaned)
    assert not any(unicodedata.bidirectional(c) in {"RLO", "LRO", "RLE", "LRE"} for c in cleaned)
    assert squeeze(cleaned) == " ".join(cleaned.split())


@given(st.text(st.characters(categories=["L", "N", "P"], max_codepoint=0x24F)))
def test_ordinary_text_is_left_alone(text: str) -> None:
    cleaned = clean(text)
    assert cleaned.text == text
    assert not cleaned.suspicious


@given(st.text())
def test_names_are_safe_to_show(name: str) -> None:
    shown = display_name(name)
    assert shown
    assert "\n" not in shown
    shown.encode()


words = st.builds(
    lambda text, x, y, width, height: Word(text, x, y, x + width, y + height),
    st.text("abcdefgh123.,", min_size=1, max_size=9),
    st.floats(0, 500),
    st.floats(0, 800),
    st.floats(1, 90),
    st.floats(5, 20),
)


@given(st.lists(words, max_size=60))
def test_every_word_comes_out_once(given_words: list[Word]) -> None:
    lines = arrange(given_words)
    joined = "".join(line.text for line in lines).replace(" ", "")
    assert Counter(joined) == Counter("".join(word.text for word in given_words))
    for line in lines:
        assert line.x0 <= line.x1
        assert line.y0 <= line.y1


@given(st.floats(50, 400), st.floats(0, 2))
def test_label_and_value_of_a_row_follow_each_other(gap: float, shift: float) -> None:
    label, value = (
        Word("Total", 10, 100, 40, 110),
        Word("9.50", 40 + gap, 100 + shift, 70 + gap, 110),
    )
    below = Word("Thanks", 10, 130, 45, 140)
    lines = arrange([below, value, label])
    assert [line.text for line in lines] == ["Total", "9.50", "Thanks"]
    assert [line.columns for line in lines] == [True, True, False]


@given(st.integers(0, 20_000))
def test_column_names_count_up(index: int) -> None:
    value = 0
    for letter in column_name(index):
        value = value * 26 + ord(letter) - ord("A") + 1
    assert value - 1 == index


@given(st.floats(-1e300, 1e300, allow_subnormal=False))
def test_numbers_come_out_plain(value: float) -> None:
    shown = cell_text(value)
    assert "e" not in shown.lower()
    assert float(shown) == pytest.approx(value, rel=1e-14)
