"""Hosts and origins in the one form that rules are compared in.

Responsible for recognising an address or giving up on it; it resolves nothing.  Invariant: text
that is not plainly a host is no host at all, so that no spelling of a denied one passes.
"""

from __future__ import annotations

import re

_HOST = re.compile(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?|[0-9a-f:]*:[0-9a-f:.]*")
_URL = re.compile(r"(https?)://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?(?:[/?#].*)?", re.S)
_MAILBOX = re.compile(r"[^@\s,;<>\"]+@([a-z0-9]([a-z0-9.-]*[a-z0-9])?)")
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def host_of(text: str) -> str | None:
    """A host name or address in lower case, without brackets and final dot; ``None`` if it is none.

    A name outside ASCII has to come in its ``xn--`` form: two spellings of one host would be two
    hosts to a rule.
    """
    host = text.lower().removeprefix("[").removesuffix("]").removesuffix(".")
    return host if _HOST.fullmatch(host) else None


def origin_of(url: str) -> str | None:
    """``scheme://host[:port]`` without a default port; ``None`` for all else, or with a user."""
    match = _URL.fullmatch(url.lower())
    if match is None:
        return None
    scheme, host, port = match.groups()
    host = host.removesuffix(".")
    return f"{scheme}://{host}" if port in (None, _DEFAULT_PORTS[scheme]) else (
        f"{scheme}://{host}:{port}"
    )  # fmt: skip


def names_of_recipient(recipient: str) -> tuple[str, ...]:
    """The rules that speak of a mail address: itself, ``@domain``; none if it is no plain one."""
    match = _MAILBOX.fullmatch(recipient.lower())
    return () if match is None else (match.group(), f"@{match.group(1)}")


def host_of_origin(origin: str) -> str:
    """The host of what ``origin_of`` gave."""
    return _without_port(origin.partition("://")[2])


def host_of_cluster(cluster: str) -> str | None:
    """The host of ``host:port``."""
    return host_of(_without_port(cluster))


def names_matching(host: str) -> tuple[str, ...]:
    """The rules that speak of ``host``: itself, then ``*.`` with each of its parent domains."""
    labels = host.split(".")
    parents = (".".join(labels[start:]) for start in range(1, len(labels)))
    return (host, *(f"*.{parent}" for parent in parents))


def _without_port(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if colon and port.isdigit() and (":" not in host or host.endswith("]")):
        text = host
    return text.removeprefix("[").removesuffix("]")
