"""The identity of a file's content.

Responsible for hashing without reading a file into memory.  Invariant: only regular files are
read, so a pipe or a device never blocks the caller.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from hivekeep.documents.failures import Reason, display_name, failure, open_failure

_CHUNK = 1 << 20


def file_sha256(path: Path) -> tuple[str, int]:
    """The SHA-256 hex digest of the file's bytes and their number.

    :raises DocumentError: with the reason ``vanished``, ``permission`` or ``not_a_file``.
    """
    name = display_name(path.name)
    try:
        # Non-blocking, because opening a named pipe would otherwise wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise open_failure(name, error) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise failure(name, Reason.NOT_A_FILE)
        digest = hashlib.sha256()
        size = 0
        while chunk := os.read(descriptor, _CHUNK):
            digest.update(chunk)
            size += len(chunk)
    except OSError as error:
        raise open_failure(name, error) from error
    finally:
        os.close(descriptor)
    return digest.hexdigest(), size
