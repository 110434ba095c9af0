"""What ``hivekeep doctor`` found about one subject."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. ``state`` is ``ok``, ``remark`` or ``problem``."""

    subject: str
    state: str
    text: str
    next_step: str = ""
