"""Canonical JSON: the examples of RFC 8785, and its properties."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hivekeep.audit import AuditEvent, DataRef, ModelRef
from hivekeep.audit.canonical import canonical
from hivekeep.audit.record import from_bytes, to_bytes

# RFC 8785, appendix B: IEEE 754 bits and how ECMAScript writes them.
NUMBERS = {
    "0000000000000000": "0", "8000000000000000": "0", "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324", "7fefffffffffffff": "1.7976931348623157e+308",
    "4340000000000000": "9007199254740992", "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000", "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23", "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000", "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21", "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001", "41b3de4355555553": "333333333.3333332",
    "41b3de4355555557": "333333333.33333343", "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}  # fmt: skip


@pytest.mark.parametrize(("bits", "text"), NUMBERS.items())
def test_numbers_are_written_as_the_rfc_says(bits: str, text: str) -> None:
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical(value) == text.encode()


def test_keys_are_sorted_by_utf16_units() -> None:
    # RFC 8785, 3.2.3.
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    order = list(json.loads(canonical(dict.fromkeys(keys, 0))))
    assert order == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


def test_text_is_escaped_as_little_as_possible() -> None:
    assert canonical('\u20ac$\x0f\nA\'B"\\"/') == '"€$\\u000f\\nA\'B\\"\\\\\\"/"'.encode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)  # fmt: skip


@given(JSON)
@settings(max_examples=300, deadline=None)
def test_what_is_read_back_is_the_same_and_writes_the_same(value: object) -> None:
    written = canonical(value)
    again = json.loads(written, parse_int=float)
    assert canonical(again) == written
    assert again == json.loads(json.dumps(value), parse_int=float)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1: 2}, {"a": b"x"}, object()])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"number|type|key"):
        canonical(value)


TEXTS = st.text(max_size=12)


@given(
    st.builds(
        AuditEvent, actor=TEXTS, action=TEXTS, subject=TEXTS, rule=TEXTS, outcome=TEXTS, user=TEXTS,
        job=TEXTS, agent=TEXTS, approval=TEXTS, result=TEXTS,
        arguments=st.dictionaries(TEXTS, TEXTS | st.integers() | st.floats(0, 1), max_size=2),
        detail=st.dictionaries(TEXTS, st.lists(TEXTS, max_size=2), max_size=2),
        data=st.lists(st.builds(DataRef, TEXTS, TEXTS, TEXTS), max_size=2).map(tuple),
        model=st.none() | st.builds(ModelRef, TEXTS, TEXTS),
    )
)  # fmt: skip
def test_a_record_is_written_canonically_and_read_back(event: AuditEvent) -> None:
    content = to_bytes(event, time=1_764_000_000.5, monotonic=7.25)
    assert canonical(json.loads(content)) == content
    record = from_bytes(1, content)
    assert (record.time, record.monotonic) == (1_764_000_000.5, 7.25)
    assert (record.actor, record.action) == (event.actor, event.action)
    assert record.subject == event.subject
    assert (record.data, record.detail) == (event.data, event.detail)
    assert (record.rule, record.outcome, record.result) == (event.rule, event.outcome, event.result)
    assert (record.user, record.job, record.agent) == (event.user, event.job, event.agent)
    assert record.approval == event.approval
    assert record.model == (event.model if event.model != ModelRef("") else None)
