"""One policy that the examples of every platform show, so that they can be compared."""

from __future__ import annotations

from typing import Any

from hivekeep.policy.keys import keys

MANAGED: dict[str, Any] = {
    "files": {
        "denied_folders": ["~/.ssh", "~/.gnupg", "/srv/personnel"],
        "denied_types": [".pst"],
        "max_size": 104_857_600,
    },
    "runs": {"max_documents": 2_000},
    "network": {"allowed_hosts": [], "model_downloads": "deny"},
    "tools": {"mcp_servers": [], "commands": []},
    "labels": {"untrusted_otherwise": "ask"},
    "approvals": {"required_from": "medium", "always_allow_up_to": "medium"},
    "support": {"contact": "IT service desk, it@example.com"},
}


def recommended() -> dict[str, Any]:
    """Every key that has a default, with that default."""
    found: dict[str, Any] = {}
    for key in keys():
        if key.default is not None:
            found.setdefault(key.section, {})[key.name] = key.default
    return found
