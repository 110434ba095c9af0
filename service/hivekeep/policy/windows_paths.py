"""Windows' paths as parts that can be compared, decided from the text alone.

Responsible for the forms of a path that mean one place and no other; every other form is no path
at all, so that nothing is allowed by it.  Invariant: two texts that Windows takes for the same
place either have parts that are the same after :func:`widest`, or at least one of them has none.

"Naming Files, Paths, and Namespaces" and "File path formats on Windows systems",
learn.microsoft.com/windows/win32/fileio and /dotnet/standard/io.  Runs on every system.
"""

from __future__ import annotations

import re

from hivekeep.files.names import name_problem

_DRIVE = re.compile(r"([A-Za-z]):[\\/]")
_VERBATIM, _VERBATIM_SHARE = "\\\\?\\", "\\\\?\\UNC\\"
_SERVER = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
# A share of this very machine is a second name for one of its folders.
_OWN_NAMES = frozenset({"LOCALHOST", "127.0.0.1"})
_NEVER = frozenset('<>"|?*')


def is_windows(path: str) -> bool:
    """Whether ``path`` is meant for Windows; paths of other systems begin with ``/``."""
    return _DRIVE.match(path) is not None or path.startswith("\\\\")


def windows_components(path: str) -> list[str] | None:
    """The parts of an absolute path, drive or share first, in one spelling; ``None`` for any other.

    Refused are relative and device paths, ``.`` and ``..``, streams, device names, names that can
    be short names, names that end in a dot or a space, and shares that are a disk by another name.
    """
    if path.startswith(_VERBATIM):
        # Here a slash is no separator, so a path that has one is not what it seems.
        if "/" in path:
            return None
        share = path.upper().startswith(_VERBATIM_SHARE)
        path = "\\\\" + path[len(_VERBATIM_SHARE) :] if share else path[len(_VERBATIM) :]
        if path.startswith("\\\\") and not share:
            return None
    text = path.replace("/", "\\")
    if drive := _DRIVE.match(path):
        return _joined(f"{drive.group(1).upper()}:", text[2:].split("\\"))
    if path.startswith("\\\\"):
        server, _, rest = text[2:].partition("\\")
        name, _, below = rest.partition("\\")
        if not _SERVER.fullmatch(server) or upper(server) in _OWN_NAMES or _bad(name):
            return None
        # 'C$' and its like are the disks of the server.
        return None if name.endswith("$") else _joined(f"\\\\{upper(server)}\\{upper(name)}",
                                                       below.split("\\"))  # fmt: skip
    return None


def upper(text: str) -> str:
    """``text`` with every letter that has a capital of its own as that; other names stay apart."""
    return "".join(_capital(character) for character in text)


def widest(parts: list[str]) -> list[str]:
    """The same for all parts that any table of NTFS could take for the same; for what is denied.

    The table lies in each volume, and letters such as the final sigma share a capital in some.
    """
    if not parts or not (parts[0].endswith(":") or parts[0].startswith("\\\\")):
        return parts
    return ["".join(_shared_capital(character) for character in part) for part in parts]


def _shared_capital(character: str) -> str:
    capital = character.upper()
    return capital if len(capital) == 1 else character


def _capital(character: str) -> str:
    capital = character.upper()
    # A letter that shares its capital with another one, as the dotless i, is not that one.
    return capital if len(capital) == 1 and capital.lower() == character else character


def _joined(root: str, names: list[str]) -> list[str] | None:
    kept = [name for name in names if name]
    return None if any(_bad(name) for name in kept) else [root, *(upper(name) for name in kept)]


def _bad(name: str) -> bool:
    return name_problem(name) is not None or bool(_NEVER & set(name))
