"""Damaged and hostile policy sources: one clear error or a policy, never anything else.

The long version, guided by coverage, is ``benchmarks/fuzz_policy.py``.
"""

from __future__ import annotations

import json
import plistlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hivekeep.domain.actions import Action
from hivekeep.domain.errors import PolicyInvalidError, UsageError
from hivekeep.policy.asking import CaseFile, action_of, parse_cases
from hivekeep.policy.bundle import (
    Bundle,
    BundlePayload,
    Remembered,
    Verified,
    build_bundle,
    parse_bundle,
    verify_bundle,
)
from hivekeep.policy.layers import Layer, Level, parse_data, parse_text
from hivekeep.policy.policy import policy_of
from hivekeep.policy.preferences import parse_preferences
from hivekeep.policy.schema import markers, sections
from hivekeep.policy.signing import key_id, new_key

NOW = datetime(2026, 11, 1, tzinfo=UTC)
quick = settings(max_examples=100, deadline=None)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
    | st.sampled_from(["/a", "deny", "*.a.org", "a" * 64, "22:00-06:00", "~", "/../", "\x00"])
)  # fmt: skip
NAMES = st.sampled_from([*sections(), *(key.partition(".")[2] for key in markers())])
TREES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


def attempt(verb: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What ``verb`` returns, or the one kind of error it may end with."""
    try:
        return verb(*arguments, **options)
    except (PolicyInvalidError, UsageError) as error:
        return error


def says_where(found: Any) -> bool:
    """Whether an error names the source it is about; true for anything else."""
    return not isinstance(found, PolicyInvalidError) or ("here" in found.what and bool(found.why))


@cache
def good_bundle() -> tuple[bytes, str]:
    """A valid bundle and the key that counts."""
    key = new_key()
    payload = BundlePayload(
        name="x", version=3, expires=NOW + timedelta(days=1),
        mandatory={"files": {"denied_folders": ["/secret"]}},
    )  # fmt: skip
    envelope = build_bundle(payload).signed_by(key)
    return Bundle(envelope).text().encode(), key_id(key.public_key())


@quick
@given(tree=TREES)
def test_any_data_is_a_policy_or_one_clear_error(tree: Any) -> None:
    layer = attempt(parse_data, tree, Level.MANDATORY, "here")
    assert says_where(layer)
    if isinstance(layer, Layer):
        policy_of([layer])


@quick
@given(tree=TREES)
def test_any_property_list_is_a_policy_or_one_clear_error(tree: Any) -> None:
    try:
        raw = plistlib.dumps(tree)
    except (TypeError, OverflowError, ValueError):
        raw = repr(tree).encode("utf-8", "replace")
    assert says_where(attempt(parse_preferences, raw, "here"))


@quick
@given(raw=st.binary(max_size=80), binary=st.booleans())
def test_any_bytes_are_no_property_list(raw: bytes, binary: bool) -> None:
    content = (b"bplist00" if binary else b"") + raw
    assert says_where(attempt(parse_preferences, content, "here"))


@quick
@given(data=st.data())
def test_no_damage_to_a_bundle_changes_what_it_says(data: st.DataObject) -> None:
    raw, key = good_bundle()
    at = data.draw(st.integers(0, len(raw) - 1))
    length = data.draw(st.integers(0, 8))
    damaged = raw[:at] + data.draw(st.binary(max_size=8)) + raw[at + length :]
    found = attempt(
        verify_bundle, damaged, source="here", pinned=(key,), remembered=Remembered(), now=NOW
    )
    assert says_where(found)
    if isinstance(found, Verified):
        assert parse_bundle(damaged).envelope.payload == parse_bundle(raw).envelope.payload
        assert found.payload.version == 3


@quick
@given(tree=TREES, keep=st.booleans())
def test_no_envelope_of_other_making_is_taken(tree: Any, keep: bool) -> None:
    raw, key = good_bundle()
    envelope = {**json.loads(raw), "signatures": tree} if keep else tree
    text = json.dumps(envelope).encode()
    found = attempt(
        verify_bundle, text, source="here", pinned=(key,), remembered=Remembered(), now=NOW
    )
    assert isinstance(found, PolicyInvalidError)
    assert says_where(found)


@quick
@given(text=st.text(max_size=80) | TREES.map(json.dumps))
def test_any_text_is_cases_or_a_usage_error(text: str) -> None:
    found = attempt(parse_cases, text, "here")
    if isinstance(found, CaseFile):
        for case in found.cases:
            attempt(action_of, case.action)


@quick
@given(
    details=st.dictionaries(st.sampled_from(["kind", "path", "size", "label"]) | st.text(), TREES)
)
def test_any_details_are_an_action_or_a_usage_error(details: dict[str, Any]) -> None:
    found = attempt(action_of, {"kind": "read_file", **details})
    assert isinstance(found, (Action, UsageError))


@quick
@given(raw=st.binary(max_size=200))
def test_any_bytes_are_a_policy_or_one_clear_error(raw: bytes) -> None:
    for content in (raw, b'{"files": {"denied_folders": ["' + raw + b'"]}}'):
        assert says_where(attempt(parse_text, content, Level.MANDATORY, "here"))
