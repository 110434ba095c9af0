"""Grants only shrink: whatever is asked for, a sub-agent never gets more than its parent has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hivekeep.domain.errors import PolicyDeniedError
from hivekeep.domain.grants import NOTHING, Grant
from hivekeep.journal import decode, encode

names = st.sampled_from(["a", "b", "c"])
paths = st.lists(names, max_size=4).map(lambda parts: "/" + "/".join(parts))
hosts = st.sampled_from(
    ["example.com", "a.example.com", "b.a.example.com", "*.example.com", "*.a.example.com", "::1"]
)
grants = st.builds(
    Grant,
    tools=st.lists(names, max_size=3).map(tuple),
    read=st.lists(paths, max_size=3).map(tuple),
    write=st.lists(paths, max_size=3).map(tuple),
    hosts=st.lists(hosts, max_size=3).map(tuple),
    agents=st.integers(0, 5),
    depth=st.integers(0, 3),
)


@given(grants, grants)
def test_a_sub_agent_never_gets_more(parent: Grant, wanted: Grant) -> None:
    child = parent.attenuate(wanted)
    assert parent.contains(child)
    assert wanted.contains(child)


@given(grants, st.lists(grants, max_size=5))
def test_nor_does_any_chain_of_sub_agents(first: Grant, wishes: list[Grant]) -> None:
    grant = first
    for wish in wishes:
        grant = grant.attenuate(wish)
    assert first.contains(grant)
    assert grant.depth <= max(first.depth - len(wishes), 0)


@given(grants, grants, paths, names, hosts)
def test_the_meet_permits_exactly_what_both_permit(
    a: Grant, b: Grant, path: str, tool: str, host: str
) -> None:
    met = a.attenuate(b)
    assert met.may_read(path) == (a.may_read(path) and b.may_read(path))
    assert met.may_write(path) == (a.may_write(path) and b.may_write(path))
    assert met.may_use(tool) == (a.may_use(tool) and b.may_use(tool))
    assert met.may_connect(host) == (a.may_connect(host) and b.may_connect(host))


@given(grants)
def test_order_and_journal(grant: Grant) -> None:
    assert grant.contains(grant)
    assert grant.contains(NOTHING)
    assert decode(Grant, encode(grant)) == grant


@given(st.text(max_size=30), grants)
def test_no_text_is_a_way_around(text: str, grant: Grant) -> None:
    """A name, path or host that a model made up is covered or it is not; it never adds a right."""
    assert not NOTHING.may_use(text)
    assert not NOTHING.may_read(text)
    assert not NOTHING.may_connect(text)
    before = encode(grant)
    grant.may_read(text), grant.may_use(text), grant.may_connect(text)
    assert encode(grant) == before


@pytest.mark.parametrize(
    "path", ["relative", "/a/../etc", "/a/./b", "", "/a\0b", "C:/a/../b", "..", "~"]
)
def test_a_path_that_could_mean_another_place_is_no_path(path: str) -> None:
    with pytest.raises(ValueError, match="absolute"):
        Grant(read=(path,))
    assert not Grant(read=("/",)).may_read(path)


def test_names_that_only_begin_alike_are_not_covered() -> None:
    grant = Grant(read=("/home/me/in",), hosts=("*.example.com",))
    assert grant.may_read("/home/me/in/a.pdf")
    assert not grant.may_read("/home/me/inside/a.pdf")
    assert grant.may_connect("A.example.com.")
    assert not grant.may_connect("example.com")
    assert not grant.may_connect("evilexample.com")
    assert not grant.may_connect("*.example.com")


def test_a_refusal_names_the_right_that_is_missing() -> None:
    with pytest.raises(PolicyDeniedError) as caught:
        NOTHING.require_read("/etc/passwd")
    assert caught.value.rule == "grant.read"
    with pytest.raises(PolicyDeniedError, match="send_mail"):
        NOTHING.require_tool("send_mail")
    with pytest.raises(PolicyDeniedError):
        NOTHING.require_write("/tmp/x")
    with pytest.raises(PolicyDeniedError):
        NOTHING.require_host("example.com")
