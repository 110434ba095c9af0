"""All generated files by their place in the source tree, and whether they are fresh."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hivekeep.policy.generated.apple import manifest, mobileconfig
from hivekeep.policy.generated.example import MANAGED, recommended
from hivekeep.policy.generated.reference import reference_page
from hivekeep.policy.generated.windows import LANGUAGES, adml, admx
from hivekeep.policy.preferences import DOMAIN
from hivekeep.policy.schema import policy_schema_text


def generated_files() -> dict[str, str]:
    """Each file's text by its path, with slashes."""
    return {
        "policies/schema.json": policy_schema_text(),
        "policies/windows/hivekeep.admx": admx(),
        **{f"policies/windows/{name}/hivekeep.adml": adml(name) for name in LANGUAGES},
        "policies/macos/hivekeep.mobileconfig": mobileconfig(),
        f"policies/macos/{DOMAIN}.manifest.plist": manifest(),
        "policies/linux/managed/10-example.json": _json(MANAGED),
        "policies/linux/recommended/10-defaults.json": _json(recommended()),
        "docs/policy-reference.md": reference_page(),
    }


def stale_files(root: Path) -> list[str]:
    """Those whose file under ``root`` is missing or differs."""
    return [path for path, text in generated_files().items() if _content(root / path) != text]


def write_files(root: Path) -> list[str]:
    """Write those that are stale, and say which.

    :raises OSError: if one cannot be written.
    """
    files = generated_files()
    stale = stale_files(root)
    for path in stale:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(files[path].encode("utf-8"))
    return stale


def _content(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _json(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
