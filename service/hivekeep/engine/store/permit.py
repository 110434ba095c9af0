"""The permission to connect that a download needs.

Responsible for what a permit is and for the one that refuses; policy gives the others.  It imports
no HTTP library, so that a process that never downloads does not load one.
"""

from __future__ import annotations

from collections.abc import Callable

from hivekeep.domain.errors import PolicyDeniedError

Permit = Callable[[str], None]
"""Called with a host name before a connection to it; raises ``PolicyDeniedError`` to forbid it."""


def no_network(host: str) -> None:
    """The default permit: nothing may be connected to."""
    raise PolicyDeniedError(
        f"A connection to {host} is not allowed.",
        rule="network.default",
        why="No permission to download was given.",
        next_step="Use 'hivekeep models pull NAME', which asks.",
    )
