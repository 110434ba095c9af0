"""What one run or one agent may use: tools, folders, hosts, and how many agents it may start.

Responsible for the order between grants and for their meet; policy is asked separately and may
refuse what a grant contains.  Invariant: the only operation that makes a grant from a grant is
:meth:`Grant.attenuate`, and its result is never above either of the two, so text cannot widen what
an agent may do: there is no road from text to a grant.

A capability in the sense of Dennis and Van Horn, "Programming semantics for multiprogrammed
computations" (CACM 1966); attenuation as in Miller, "Robust Composition" (2006).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from hivekeep.domain.errors import PolicyDeniedError


class _Covers(Protocol):
    def __call__(self, wider: str, narrower: str, /) -> bool: ...


@dataclass(frozen=True, slots=True)
class Grant:
    """A frozen set of rights; the default is none at all.

    ``read`` and ``write`` are absolute paths without ``.`` and ``..``; each covers itself and all
    below it.  ``hosts`` are names, addresses or ``*.domain`` (its subdomains only).  ``agents`` is
    how many sub-agents may be started in all, ``depth`` how many levels of them.
    """

    tools: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    agents: int = 0
    depth: int = 0

    def __post_init__(self) -> None:
        for path in (*self.read, *self.write):
            _parts(path)
        if self.agents < 0 or self.depth < 0:
            raise ValueError("a grant cannot hold a negative number of agents")
        # One spelling for each set of rights, so that equal grants are equal and journals stable.
        fix = object.__setattr__
        fix(self, "tools", tuple(sorted(set(self.tools))))
        fix(self, "read", _maximal(self.read, _path_covers))
        fix(self, "write", _maximal(self.write, _path_covers))
        fix(self, "hosts", _maximal((host.lower() for host in self.hosts), _host_covers))

    def attenuate(self, wanted: Grant) -> Grant:
        """The grant of a sub-agent that asks for ``wanted``: what both contain, one level less."""
        return Grant(
            tools=tuple(set(self.tools) & set(wanted.tools)),
            read=_meet(self.read, wanted.read, _path_covers),
            write=_meet(self.write, wanted.write, _path_covers),
            hosts=_meet(self.hosts, wanted.hosts, _host_covers),
            agents=min(self.agents, wanted.agents) if self.depth else 0,
            depth=min(max(self.depth - 1, 0), wanted.depth),
        )

    def contains(self, other: Grant) -> bool:
        """Whether everything that ``other`` permits is permitted here too."""
        return (
            set(other.tools) <= set(self.tools)
            and all(self.may_read(path) for path in other.read)
            and all(self.may_write(path) for path in other.write)
            and all(any(_host_covers(mine, host) for mine in self.hosts) for host in other.hosts)
            and other.agents <= self.agents
            and other.depth <= self.depth
        )

    def may_use(self, tool: str) -> bool:
        """Whether the tool of this name may be called."""
        return tool in self.tools

    def may_read(self, path: str) -> bool:
        """Whether ``path``, absolute and resolved, may be read."""
        return any(_path_covers(granted, path) for granted in self.read)

    def may_write(self, path: str) -> bool:
        """Whether ``path``, absolute and resolved, may be written."""
        return any(_path_covers(granted, path) for granted in self.write)

    def may_connect(self, host: str) -> bool:
        """Whether a connection to ``host`` may be made."""
        name = host.lower().rstrip(".")
        return "*" not in name and any(_host_covers(granted, name) for granted in self.hosts)

    def require_tool(self, tool: str) -> None:
        """:raises PolicyDeniedError: if the tool is not granted."""
        if not self.may_use(tool):
            raise _denied(f"This agent was not given the tool '{tool}'.", "grant.tools")

    def require_read(self, path: str) -> None:
        """:raises PolicyDeniedError: if the path may not be read."""
        if not self.may_read(path):
            raise _denied("This agent was not given this file to read.", "grant.read", path)

    def require_write(self, path: str) -> None:
        """:raises PolicyDeniedError: if the path may not be written."""
        if not self.may_write(path):
            raise _denied("This agent was not given this place to write to.", "grant.write", path)

    def require_host(self, host: str) -> None:
        """:raises PolicyDeniedError: if no connection to the host may be made."""
        if not self.may_connect(host):
            raise _denied("This agent was not given this host.", "grant.hosts", host)


def _denied(what: str, rule: str, subject: str = "") -> PolicyDeniedError:
    return PolicyDeniedError(
        what,
        rule=rule,
        why=subject or "A run's rights are fixed when it begins and only ever shrink.",
        next_step="Start a run that is given it, if that is what you want.",
    )


def _parts(path: str) -> list[str]:
    """The components of an absolute path.

    :raises ValueError: if the path could mean another place than it says.
    """
    plain = path.replace("\\", "/") if path[1:3] == ":\\" else path
    parts = [part for part in plain.split("/") if part]
    absolute = plain.startswith("/") or (plain[:1].isalpha() and plain[1:3] == ":/")
    if not absolute or "\0" in path or "." in parts or ".." in parts:
        raise ValueError(f"a grant needs absolute paths without '.' and '..': {path!r}")
    return parts


def _path_covers(wider: str, narrower: str, /) -> bool:
    try:
        outer, inner = _parts(wider), _parts(narrower)
    except ValueError:
        return False
    return inner[: len(outer)] == outer


def _host_covers(wider: str, narrower: str, /) -> bool:
    if wider.startswith("*."):
        return narrower == wider or narrower.removeprefix("*").endswith(wider[1:])
    return wider == narrower


def _maximal(items: Iterable[str], covers: _Covers) -> tuple[str, ...]:
    """``items`` without those that another one covers, sorted."""
    kept: list[str] = []
    for item in sorted(set(items), key=lambda text: (len(text), text)):
        if not any(covers(other, item) for other in kept):
            kept.append(item)
    return tuple(sorted(kept))


def _meet(ours: tuple[str, ...], theirs: tuple[str, ...], covers: _Covers) -> tuple[str, ...]:
    inner = [item for item in theirs if any(covers(mine, item) for mine in ours)]
    inner += [item for item in ours if any(covers(wanted, item) for wanted in theirs)]
    return _maximal(inner, covers)


NOTHING = Grant()
"""The grant of a reading agent: no tools, no paths, no hosts, no agents."""
