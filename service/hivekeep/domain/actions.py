"""What policy is asked and what it answers.

An ``Action`` describes exactly one thing that is about to happen; a ``Decision`` says whether it
may, and which rule said so.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ActionKind(StrEnum):
    """Everything that policy is asked about."""

    READ_FILE = "read_file"
    WRITE_FILE = "write_file"
    COPY_FILE = "copy_file"
    MOVE_FILE = "move_file"
    WATCH_FOLDER = "watch_folder"
    START_RUN = "start_run"
    USE_RECIPE = "use_recipe"
    USE_MODEL = "use_model"
    DOWNLOAD_MODEL = "download_model"
    CONNECT = "connect"


class Label(StrEnum):
    """Where the data behind an action comes from, from most to least trusted."""

    TRUSTED = "trusted"
    INTERNAL = "internal"
    UNTRUSTED = "untrusted"


@dataclass(frozen=True, slots=True)
class Action:
    """One action, described completely enough to decide on it without any I/O.

    ``path`` is an absolute, symlink-resolved path where the action concerns a file (for copies and
    moves: the source, with ``target`` the destination).  ``size`` is in bytes.  ``count`` is the
    number of inputs (``START_RUN``).  ``host`` is a DNS name or address (``CONNECT``,
    ``DOWNLOAD_MODEL``).  ``model_sha256`` identifies a model.  ``user_recipe`` is true for a recipe
    that did not ship with Hivekeep.
    """

    kind: ActionKind
    path: str = ""
    target: str = ""
    size: int = 0
    count: int = 0
    host: str = ""
    model: str = ""
    model_sha256: str = ""
    recipe: str = ""
    user_recipe: bool = False
    label: Label = Label.TRUSTED


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to one action.

    ``rule`` is a stable id such as ``files.denied_folders[2]`` and ``source`` says where that rule
    comes from (a policy file's path, ``user settings`` or ``default``).
    """

    allowed: bool
    rule: str
    source: str
    reason: str
