"""Policies and actions for property tests: any key and kind, from small pools so that they meet."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from hivekeep.domain.actions import Action, ActionKind, Label
from hivekeep.policy.keys import Key, Shape, keys

_PARTS = st.sampled_from(["a", "ab", "b", "c"])
FOLDERS = st.lists(_PARTS, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
_HOSTS = ["a.org", "*.a.org", "x.a.org", "b.org"]
_KEY_IDS = ["a" * 64, "b" * 64]
_ENTRIES: dict[str, list[str]] = {
    "files.allowed_types": [".pdf", ".txt", "image/*", "image/png"],
    "files.denied_types": [".pdf", ".txt", "image/*", "image/png"],
    "models.allowed_sha256": _KEY_IDS,
    "recipes.trusted_keys": _KEY_IDS,
    "audit.recipients": _KEY_IDS,
    "audit.sinks": ["syslog+tls://a.org"],
    "audit.witnesses": ["https://a.org/add"],
    "schedules.quiet_hours": ["22:00-06:00", "12:00-13:00"],
    "network.allowed_hosts": _HOSTS,
    "network.denied_hosts": _HOSTS,
    "browser.allowed_sites": _HOSTS,
    "browser.denied_sites": _HOSTS,
    "network.remote_inference": ["https://a.org", "http://x.a.org:80"],
    "network.ray_clusters": ["a.org:1", "b.org:1"],
    "network.recipients": ["@a.org", "m@a.org", "m@b.org"],
    "tools.commands": ["/bin/m", "/bin/n"],
    "tools.python_packages": ["m", "n"],
}


def value_of(key: Key) -> st.SearchStrategy[Any]:
    """Values of one key."""
    match key.shape:
        case Shape.SWITCH:
            return st.booleans()
        case Shape.NUMBER:
            return st.integers(key.minimum or 0, min(key.maximum or 20, 20))
        case Shape.CHOICE:
            return st.sampled_from(key.choices)
        case Shape.TEXT:
            return st.just("someone")
        case Shape.LIST:
            return st.lists(entry_of(key), max_size=3)


def entry_of(key: Key) -> st.SearchStrategy[str]:
    """Entries of a list."""
    if key.choices:
        return st.sampled_from(key.choices)
    if "folders" in key.name:
        return FOLDERS
    return st.sampled_from(_ENTRIES.get(key.id, ["m", "n"]))


# Keys that say nothing about any action are left out, so that those that do meet more often.
_SILENT = ("audit.recipients", "audit.sinks", "audit.witnesses", "audit.shred", "retention.",
           "support.", "sandbox.", "desktop.hidden", "runs.max_agents", "runs.max_steps",
           "runs.max_tokens", "runs.max_minutes")  # fmt: skip
DECIDING = tuple(key for key in keys() if not key.id.startswith(_SILENT))


def _content(stated: list[tuple[Key, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in stated:
        found.setdefault(key.section, {})[key.name] = value
    return found


def policies() -> st.SearchStrategy[dict[str, Any]]:
    """Contents of a policy file that state some of the keys."""
    stated = st.sampled_from(DECIDING).flatmap(lambda key: st.tuples(st.just(key), value_of(key)))
    return st.lists(stated, max_size=6).map(_content)


_NAMES = st.sampled_from(["m", "n", "o"])
_PLACES = st.builds(
    lambda folder, name: f"{folder}/{name}",
    FOLDERS,
    st.sampled_from(["x.pdf", "x.PNG", "x.txt", "x", "..", "../a/x.pdf"]),
)
_SITES = st.sampled_from(["a.org", "x.a.org", "y.x.a.org", "b.org", "", "A.ORG.", "a.org/x"])
ACTIONS = st.builds(
    Action,
    st.sampled_from(list(ActionKind)),
    path=_PLACES,
    target=_PLACES,
    size=st.integers(0, 20),
    count=st.integers(0, 20),
    host=_SITES | st.sampled_from(["a.org:1", "b.org:1"]),
    model=_NAMES,
    model_sha256=st.sampled_from(_KEY_IDS),
    recipe=_NAMES,
    user_recipe=st.booleans(),
    label=st.sampled_from(list(Label)),
    signer=st.sampled_from(["", *_KEY_IDS]),
    local_time=st.sampled_from(["", "23:00", "12:30", "09:00", "late"]),
    endpoint=st.sampled_from(["https://a.org/v1", "http://x.a.org", "https://u@a.org", ""]),
    packages=st.lists(_NAMES, max_size=2).map(tuple),
    command=st.sampled_from(["/bin/m", "/bin/o", "m"]),
    tool=_NAMES,
    server=_NAMES,
    site=_SITES,
    verb=st.sampled_from(["read", "click", "submit", "fly"]),
    recipient=st.sampled_from(["m@a.org", "x@b.org", "a.org", "x@m@a.org"]),
    provider=_NAMES,
)
ANY_TEXT_ACTIONS = st.builds(
    Action,
    st.sampled_from(list(ActionKind)),
    **{
        name: st.text(max_size=20)
        for name in (
            "path", "target", "host", "model", "recipe", "signer", "local_time", "endpoint",
            "command", "tool", "server", "site", "verb", "recipient", "provider",
        )
    },
    packages=st.lists(st.text(max_size=5), max_size=2).map(tuple),
    size=st.integers(),
    label=st.sampled_from(list(Label)),
)  # fmt: skip
