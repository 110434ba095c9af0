"""What policy is asked and what it answers.

An ``Action`` describes exactly one thing that is about to happen; a ``Decision`` says whether it
may, may after a person agreed, or may not, and which rule said so.  Invariant: of several answers
to one action the strictest counts: a denial beats a question, a question beats a permission.
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
    DELETE_FILE = "delete_file"
    WATCH_FOLDER = "watch_folder"
    START_RUN = "start_run"
    SCHEDULE_RUN = "schedule_run"
    USE_RECIPE = "use_recipe"
    USE_MODEL = "use_model"
    DOWNLOAD_MODEL = "download_model"
    CONNECT = "connect"
    REMOTE_INFERENCE = "remote_inference"
    RAY_CLUSTER = "ray_cluster"
    RUN_CODE = "run_code"
    RUN_COMMAND = "run_command"
    USE_TOOL = "use_tool"
    MCP_START = "mcp_start"
    MCP_CALL = "mcp_call"
    BROWSER_VISIT = "browser_visit"
    BROWSER_ACT = "browser_act"
    SEND_DATA = "send_data"
    USE_MARKET_PROVIDER = "use_market_provider"
    CLIPBOARD = "clipboard"
    NOTIFY = "notify"
    EXPORT_AUDIT = "export_audit"
    INSTALL_UPDATE = "install_update"


class Label(StrEnum):
    """Where the data behind an action comes from, from most to least trusted."""

    TRUSTED = "trusted"
    INTERNAL = "internal"
    UNTRUSTED = "untrusted"


class Effect(StrEnum):
    """What follows from a decision, from most to least permissive."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


class Risk(StrEnum):
    """How much harm an action can do if it is the wrong one, from least to most."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for the least."""
        return _RISK_RANK[self]


_RISK_RANK = {risk: rank for rank, risk in enumerate(Risk)}


@dataclass(frozen=True, slots=True)
class Action:
    """One action, described completely enough to decide on it without any I/O.

    Files: ``path`` is absolute and free of symbolic links (for copies and moves the source, with
    ``target`` the destination); ``size`` is in bytes.  ``START_RUN``: ``count`` is the number of
    inputs.  ``SCHEDULE_RUN``: ``local_time`` is ``HH:MM`` when it is about to start, empty when it
    is only being planned.  ``USE_RECIPE``: ``user_recipe`` is true for a recipe that did not ship
    with Hivekeep, ``signer`` the key id whose signature of it was verified.  Models:
    ``model_sha256`` identifies the file.

    ``host`` is a DNS name or address (``CONNECT``, ``DOWNLOAD_MODEL``) or ``host:port``
    (``RAY_CLUSTER``); ``endpoint`` a URL (``REMOTE_INFERENCE``).  ``RUN_CODE``: ``packages`` are
    the Python packages it imports.  ``RUN_COMMAND``: ``command`` is the resolved path of the
    program, ``arguments`` what it gets.  ``USE_TOOL`` and ``MCP_CALL``: ``tool`` is its name,
    ``server`` the MCP server's, ``arguments`` what it is called with.  ``MCP_START``: ``verb`` is
    ``network`` for a server that wants one, ``path`` what it shall see of the user's, if that is
    what is asked.  Browser: ``site`` is the host of the page, ``verb`` what is done
    (``read``, ``click``, ``type``, ...).  ``CLIPBOARD``: ``verb`` is ``read`` or ``write``.
    ``SEND_DATA``: ``recipient`` is an address such as ``name@example.com``.
    ``USE_MARKET_PROVIDER``: ``provider``.

    ``payload_sha256`` binds an approval to content that is not part of the action itself: the code,
    the message, the file.
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
    signer: str = ""
    local_time: str = ""
    endpoint: str = ""
    packages: tuple[str, ...] = ()
    command: str = ""
    arguments: tuple[str, ...] = ()
    tool: str = ""
    server: str = ""
    site: str = ""
    verb: str = ""
    recipient: str = ""
    provider: str = ""
    payload_sha256: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalTerms:
    """Under which conditions a person may say yes.

    ``approvers`` are account names or ``@group``; ``None`` means whoever the profile belongs to.
    ``always_allow`` says whether the answer may be remembered.  An unanswered question is a no
    after ``timeout_seconds``.
    """

    approvers: tuple[str, ...] | None
    always_allow: bool
    timeout_seconds: int


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to one action.

    ``rule`` is a stable id such as ``files.denied_folders[2]`` and ``source`` says where that rule
    comes from (a policy file's path, ``user settings`` or ``default``).  ``approval`` is set
    exactly when ``effect`` is ``ASK``.
    """

    effect: Effect
    rule: str
    source: str
    reason: str
    risk: Risk = Risk.LOW
    approval: ApprovalTerms | None = None

    @property
    def allowed(self) -> bool:
        """Whether the action may happen now, with nobody asked."""
        return self.effect is Effect.ALLOW


_READING = frozenset({"read", "scroll", "screenshot"})
_IRREVOCABLE = frozenset({"submit", "upload"})
_RISKS = {
    ActionKind.READ_FILE: Risk.LOW,
    ActionKind.WRITE_FILE: Risk.LOW,  # results go to new files only
    ActionKind.COPY_FILE: Risk.MEDIUM,
    ActionKind.MOVE_FILE: Risk.MEDIUM,
    ActionKind.DELETE_FILE: Risk.CRITICAL,
    ActionKind.WATCH_FOLDER: Risk.LOW,
    ActionKind.START_RUN: Risk.LOW,
    ActionKind.SCHEDULE_RUN: Risk.LOW,
    ActionKind.USE_RECIPE: Risk.LOW,
    ActionKind.USE_MODEL: Risk.LOW,
    ActionKind.DOWNLOAD_MODEL: Risk.MEDIUM,
    # Nothing can be reached unless a rule names it, so naming it is the grant.
    ActionKind.CONNECT: Risk.MEDIUM,
    ActionKind.REMOTE_INFERENCE: Risk.MEDIUM,
    ActionKind.RAY_CLUSTER: Risk.MEDIUM,
    ActionKind.USE_MARKET_PROVIDER: Risk.MEDIUM,
    ActionKind.BROWSER_VISIT: Risk.MEDIUM,
    ActionKind.BROWSER_ACT: Risk.HIGH,
    ActionKind.RUN_CODE: Risk.MEDIUM,  # in the sandbox, without network
    ActionKind.RUN_COMMAND: Risk.HIGH,
    ActionKind.USE_TOOL: Risk.LOW,  # what a tool does is asked about again as what it is
    ActionKind.MCP_START: Risk.MEDIUM,  # in the sandbox, and a rule has to name it
    ActionKind.MCP_CALL: Risk.HIGH,
    ActionKind.SEND_DATA: Risk.CRITICAL,
    ActionKind.CLIPBOARD: Risk.MEDIUM,
    ActionKind.NOTIFY: Risk.LOW,
    ActionKind.EXPORT_AUDIT: Risk.HIGH,
    ActionKind.INSTALL_UPDATE: Risk.HIGH,
}
_ORDER = tuple(Risk)


def risk_of(action: Action, *, by_document: bool = False) -> Risk:
    """The risk class of an action; one class higher where only a document's text asked for it."""
    risk = _RISKS[action.kind]
    if action.kind is ActionKind.BROWSER_ACT:
        if action.verb in _READING:
            risk = Risk.MEDIUM
        elif action.verb in _IRREVOCABLE:
            risk = Risk.CRITICAL
    if by_document:
        return _ORDER[min(risk.rank + 1, len(_ORDER) - 1)]
    return risk
