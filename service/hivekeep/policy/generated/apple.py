"""The configuration profile for macOS, and the manifest that profile editors read.

Responsible for two property lists: a ``.mobileconfig`` that an MDM can deliver, with the example
policy in it, and a preference manifest after Apple's "Preference Manifest Files" and the
ProfileManifests project's format.
"""

from __future__ import annotations

import plistlib
import uuid
from typing import Any

from hivekeep.policy.generated.example import MANAGED
from hivekeep.policy.keys import Key, Shape, keys, section_description
from hivekeep.policy.preferences import DOMAIN, RECOMMENDED
from hivekeep.policy.schema import sections

_TYPES = {
    Shape.SWITCH: "boolean",
    Shape.NUMBER: "integer",
    Shape.CHOICE: "string",
    Shape.LIST: "array",
    Shape.TEXT: "string",
}


def mobileconfig() -> str:
    """A profile with the example policy; an organisation puts its own in place of it."""
    payload = {
        "PayloadType": DOMAIN,
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{DOMAIN}.policy.settings",
        "PayloadUUID": _uuid("settings"),
        "PayloadDisplayName": "Hivekeep policy",
        **MANAGED,
    }
    profile = {
        "PayloadType": "Configuration",
        "PayloadVersion": 1,
        "PayloadScope": "System",
        "PayloadIdentifier": f"{DOMAIN}.policy",
        "PayloadUUID": _uuid("profile"),
        "PayloadDisplayName": "Hivekeep",
        "PayloadDescription": "What Hivekeep may do on this Mac.",
        "PayloadOrganization": "Example Ltd",
        "PayloadRemovalDisallowed": True,
        "PayloadContent": [payload],
    }
    return _text(profile)


def manifest() -> str:
    """What the keys are, for editors of profiles."""
    settings = [_section(section) for section in sections()]
    recommended = {
        "pfm_name": RECOMMENDED,
        "pfm_title": "Recommended",
        "pfm_description": "Settings that users may change.",
        "pfm_type": "dictionary",
        "pfm_subkeys": settings,
    }
    return _text(
        {
            "pfm_domain": DOMAIN,
            "pfm_title": "Hivekeep",
            "pfm_description": "What Hivekeep may do on this Mac.",
            "pfm_format_version": 1,
            "pfm_version": 1,
            "pfm_platforms": ["macOS"],
            "pfm_targets": ["system", "user"],
            "pfm_interaction": "combined",
            "pfm_unique": True,
            "pfm_subkeys": [*settings, recommended],
        }
    )


def _section(section: str) -> dict[str, Any]:
    return {
        "pfm_name": section,
        "pfm_title": section.replace("_", " ").capitalize(),
        "pfm_description": section_description(section),
        "pfm_type": "dictionary",
        "pfm_subkeys": [_key(key) for key in keys() if key.section == section],
    }


def _key(key: Key) -> dict[str, Any]:
    found: dict[str, Any] = {
        "pfm_name": key.name,
        "pfm_title": key.name.replace("_", " ").capitalize(),
        "pfm_description": key.description,
        "pfm_type": _TYPES[key.shape],
    }
    if key.default is not None:
        found["pfm_default"] = key.default
    if key.shape is Shape.NUMBER:
        found["pfm_range_min"], found["pfm_range_max"] = key.minimum, key.maximum
    entry: dict[str, Any] = {"pfm_range_list": list(key.choices)} if key.choices else {}
    if key.pattern:
        entry["pfm_format"] = key.pattern
    if key.shape is Shape.LIST:
        found["pfm_subkeys"] = [{"pfm_type": "string", **entry}]
    else:
        found.update(entry)
    return found


def _uuid(name: str) -> str:
    """The same at each generation: a profile is replaced by one of the same identifier."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.{DOMAIN}")).upper()


def _text(data: dict[str, Any]) -> str:
    return plistlib.dumps(data, sort_keys=False).decode()
