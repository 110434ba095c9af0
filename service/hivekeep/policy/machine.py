"""Where each operating system keeps the policy of its machine.

Responsible for paths only.  The Windows and macOS places follow what Group Policy and configuration
profiles write; they have not been run there.
"""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path

from hivekeep.policy.loading import PolicySources
from hivekeep.policy.preferences import preference_files
from hivekeep.policy.registry import RegistryReader

LINUX = Path("/etc/hivekeep/policies")
MACOS = Path("/Library/Application Support/Hivekeep/Policies")


def machine_sources(user: Path, state: Path, *, platform: str = sys.platform) -> PolicySources:
    """The sources of this machine, with ``user`` as the user's own settings.

    :param state: where what was seen of signed bundles is remembered.
    """
    if platform == "win32":
        folder = Path(os.environ.get("PROGRAMDATA", r"C:\ProgramData")) / "Hivekeep" / "Policies"
    elif platform == "darwin":
        folder = MACOS
    else:
        folder = LINUX
    return PolicySources(
        managed=folder / "managed",
        recommended=folder / "recommended",
        user=user,
        bundle=folder / "policy.bundle",
        keys=folder / "keys",
        state=state,
        contact=folder / "contact",
        preferences=preference_files(getpass.getuser()) if platform == "darwin" else (),
        registry=_registry(),
    )


def _registry() -> RegistryReader | None:
    if sys.platform == "win32":
        from hivekeep.policy.registry import WindowsRegistry

        return WindowsRegistry()
    return None
