"""What a process that parses a model file may still do.

Responsible for the one call that every such process makes first, before any thread exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hivekeep.sandbox import Confinement, confine, paths
from hivekeep.sandbox.confine import leave_network


def confine_to_model(model: Path, adapter: str = "", required: Sequence[str] = ()) -> None:
    """No network, no other files, no programs.

    :raises SandboxError: if a required protection is not to be had.
    """
    leave_network()
    confine(
        Confinement(
            read=(*paths.worker(), str(model), *filter(None, [adapter])),
            threads=True,
            # The address space holds the mapped model; its real memory was looked at before.
            memory=1 << 44,
            cpu_seconds=1 << 30,
        ),
        required=required,
    )
