"""Remembering that a file was verified, so that it need not be hashed at every start.

Responsible for hashing and for the stamp beside a model.  Invariant: a stamp counts only while the
file's size and modification time are those of the moment it was verified.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_CHUNK = 4 * 1024 * 1024


def sha256_of(path: Path, progress: Callable[[int], None]) -> str:
    """The file's SHA-256 in hex; ``progress`` gets the bytes read."""
    digest = hashlib.sha256()
    done = 0
    with path.open("rb", buffering=0) as source:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            done += len(chunk)
            progress(done)
    return digest.hexdigest()


def stamp_of(model: Path) -> Path:
    """Where the stamp of ``model`` lies."""
    return model.with_name(model.name + ".sha256")


def write_stamp(model: Path, sha256: str) -> None:
    """Remember that ``model`` was found to have this hash."""
    # Where the stamp cannot be written, the model is simply hashed again next time.
    with suppress(OSError):
        fresh = stamp_of(model).with_suffix(".sha256-new")
        fresh.write_text(json.dumps({"sha256": sha256, **_identity(model)}), encoding="ascii")
        fresh.replace(stamp_of(model))


def remove_stamp(model: Path) -> None:
    """Forget that ``model`` was verified."""
    stamp_of(model).unlink(missing_ok=True)


def is_stamped(model: Path, sha256: str) -> bool:
    """Whether ``model`` was verified with this hash and is unchanged since."""
    try:
        known = json.loads(stamp_of(model).read_bytes())
        return bool(known == {"sha256": sha256, **_identity(model)})
    except (OSError, ValueError):
        return False


def _identity(model: Path) -> dict[str, int]:
    status = model.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}
