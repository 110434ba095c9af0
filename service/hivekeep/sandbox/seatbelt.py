"""macOS: the same confinement as a Seatbelt profile.

Responsible for writing the profile and for applying it to the calling process.  Not run on a Mac
by us yet: the text is tested, the call is written after ``sandbox_init(3)``.  Invariant: the
profile begins with denying everything.
"""

from __future__ import annotations

import ctypes
import errno
import sys
from collections.abc import Iterator

from hivekeep.sandbox.model import Confinement

_LIBRARY = "/usr/lib/libsandbox.1.dylib"
_ALWAYS_READ = ("/usr/lib", "/System/Library", "/Library/Apple", "/private/var/db/dyld",
                "/private/var/db/timezone", "/dev/null", "/dev/zero", "/dev/random",
                "/dev/urandom")  # fmt: skip


def profile(keep: Confinement) -> str:
    """The profile in Seatbelt's language (SBPL)."""
    return "\n".join(_lines(keep)) + "\n"


def apply(keep: Confinement) -> None:
    """Confine this process for good.

    :raises OSError: on any system but macOS, or if macOS refuses the profile.
    """
    if sys.platform != "darwin":
        raise OSError(errno.ENOSYS, "Seatbelt belongs to macOS")
    library = ctypes.CDLL(_LIBRARY)
    message = ctypes.c_char_p()
    # Flags 0: the first argument is a profile's text, not the name of one of Apple's own.
    if library.sandbox_init(profile(keep).encode(), ctypes.c_uint64(0), ctypes.byref(message)):
        said = (message.value or b"").decode(errors="replace")
        library.sandbox_free_error(message)
        raise OSError(errno.EPERM, said)


def _lines(keep: Confinement) -> Iterator[str]:
    yield "(version 1)"
    yield "(deny default)"
    yield "(deny network*)"
    yield "(allow sysctl-read)"
    yield "(allow file-read-metadata)"
    yield "(allow signal (target self))"
    for path in (*_ALWAYS_READ, *keep.read, *keep.write):
        yield f"(allow file-read* (subpath {_string(path)}))"
    for path in keep.write:
        yield f"(allow file-write* (subpath {_string(path)}))"
    if keep.write:
        yield '(allow file-write-data (literal "/dev/null"))'
    if keep.processes:
        yield "(allow process-fork)"
    if keep.execute:
        for path in (*_ALWAYS_READ, *keep.read):
            yield f"(allow process-exec (subpath {_string(path)}))"


def _string(path: str) -> str:
    """A quoted string; a path cannot end it early."""
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'
