"""What a profile remembers of the bundles it has seen, so that policy cannot be rolled back.

Responsible for one small file.  Invariant: what is remembered only ever goes forward, and a file
that cannot be understood is an error, since treating it as empty would allow going back.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

from hivekeep.policy.bundle import Remembered
from hivekeep.policy.layers import unusable


def recall(path: Path) -> Remembered:
    """What is remembered; nothing at all on a first start.

    :raises PolicyInvalidError: if the file is there but cannot be used.
    """
    try:
        data = json.loads(path.read_bytes())
        found = Remembered(
            version=data["version"],
            payload_sha256=data["payload_sha256"],
            sequence=data["sequence"],
            keys=tuple(data["keys"]),
            pinned=tuple(data["pinned"]),
        )
    except FileNotFoundError:
        return Remembered()
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise unusable(str(path), f"It cannot be read: {error}.") from error
    if not isinstance(found.version, int) or not isinstance(found.sequence, int):
        raise unusable(str(path), "Its numbers are no numbers.")
    return found


def remember(path: Path, known: Remembered) -> None:
    """Write ``known``, at once or not at all.

    :raises PolicyInvalidError: if it cannot be written; then the bundle may not be used either.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(known), file)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        raise unusable(str(path), f"It cannot be written: {error.strerror}.") from error
