"""The one error hierarchy.

Every error a user can meet carries what happened, why, and what to do next; the CLI and the UI
only render it.  Library exceptions are translated into one of these at the edge where they arise,
so nothing above a capability has to know which library it is built on.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar

from hivekeep.domain.saying import sayings


class ErrorCode(StrEnum):
    """Stable machine-readable names; they appear in ``--json`` output and in the failure sheet."""

    USAGE = "usage"
    NOT_FOUND = "not_found"
    CONFIG = "config"
    RECIPE = "recipe"
    POLICY = "policy_denied"
    POLICY_INVALID = "policy_invalid"
    APPROVAL = "approval"
    DOCUMENT = "document"
    MODEL = "model"
    ENGINE = "engine"
    TOOL = "tool"
    BUDGET = "budget"
    IN_DOUBT = "in_doubt"
    AUDIT = "audit"
    SECRETS = "secrets"
    JOURNAL = "journal"
    STORAGE = "storage"
    DAEMON = "daemon"
    INTERNAL = "internal"


class HivekeepError(Exception):
    """Base of every error shown to a user.

    :param what: what happened, one sentence, no trailing newline.
    :param why: the cause, as far as it is known.
    :param next_step: what the user can do now.
    """

    code: ClassVar[ErrorCode] = ErrorCode.INTERNAL
    exit_status: ClassVar[int] = 1

    def __init__(self, what: str, *, why: str = "", next_step: str = "") -> None:
        self.what = what
        self.why = why
        self.next_step = next_step
        super().__init__(" ".join(part for part in (what, why, next_step) if part))

    def as_dict(self) -> dict[str, Any]:
        """The error as plain data for JSON output, the journal and the failure sheet.

        ``said`` holds the id and the values of each of its sentences that has some.
        """
        said = sayings(what=self.what, why=self.why, next=self.next_step)
        return {
            "code": str(self.code),
            "what": str(self.what),
            "why": str(self.why),
            "next": str(self.next_step),
            **({"said": said} if said else {}),
        }


class UsageError(HivekeepError):
    """The request itself makes no sense."""

    code = ErrorCode.USAGE
    exit_status = 2


class NotFoundError(HivekeepError):
    """Something named by the user does not exist."""

    code = ErrorCode.NOT_FOUND
    exit_status = 3


class ConfigError(HivekeepError):
    """A settings file is wrong."""

    code = ErrorCode.CONFIG
    exit_status = 2


class RecipeError(HivekeepError):
    """A recipe file is wrong; ``why`` names file and line."""

    code = ErrorCode.RECIPE
    exit_status = 2


class PolicyDeniedError(HivekeepError):
    """Policy forbids the action; ``rule`` is the id of the rule that decided."""

    code = ErrorCode.POLICY
    exit_status = 4

    def __init__(self, what: str, *, rule: str, why: str = "", next_step: str = "") -> None:
        super().__init__(what, why=why, next_step=next_step)
        self.rule = rule

    def as_dict(self) -> dict[str, Any]:
        return {**super().as_dict(), "rule": self.rule}


class PolicyInvalidError(HivekeepError):
    """A policy file cannot be read or understood; the program fails closed."""

    code = ErrorCode.POLICY_INVALID
    exit_status = 4


class ApprovalError(HivekeepError):
    """An answer to an approval cannot be taken: it is closed, changed, or not this person's."""

    code = ErrorCode.APPROVAL
    exit_status = 4


class DocumentError(HivekeepError):
    """A document could not be read; ``reason`` is a stable short name such as ``encrypted``."""

    code = ErrorCode.DOCUMENT
    exit_status = 5

    def __init__(self, what: str, *, reason: str, why: str = "", next_step: str = "") -> None:
        super().__init__(what, why=why, next_step=next_step)
        self.reason = reason

    def as_dict(self) -> dict[str, Any]:
        return {**super().as_dict(), "reason": self.reason}


class ModelStoreError(HivekeepError):
    """A model is unknown, incomplete, wrong by hash, or too large for this machine."""

    code = ErrorCode.MODEL
    exit_status = 6


class EngineError(HivekeepError):
    """Inference failed: the worker died, a schema is not usable, the context is too small."""

    code = ErrorCode.ENGINE
    exit_status = 6


class ToolError(HivekeepError):
    """A tool call was not possible as asked; the agent is told and may choose another."""

    code = ErrorCode.TOOL
    exit_status = 1


class BudgetError(HivekeepError):
    """A run or an agent has used up what it may use; ``reason`` is a stable short name."""

    code = ErrorCode.BUDGET
    exit_status = 1

    def __init__(self, what: str, *, reason: str, why: str = "", next_step: str = "") -> None:
        super().__init__(what, why=why, next_step=next_step)
        self.reason = reason


class InDoubtError(HivekeepError):
    """An effect may or may not have taken place before a crash; a person has to say."""

    code = ErrorCode.IN_DOUBT
    exit_status = 1


class AuditError(HivekeepError):
    """The audit log cannot be written, or does not verify."""

    code = ErrorCode.AUDIT
    exit_status = 7


class SecretsError(HivekeepError):
    """A key cannot be stored or read."""

    code = ErrorCode.SECRETS
    exit_status = 7


class JournalError(HivekeepError):
    """The run journal is damaged or cannot be written."""

    code = ErrorCode.JOURNAL
    exit_status = 7


class StorageError(HivekeepError):
    """A file could not be written: disk full, read-only, no permission."""

    code = ErrorCode.STORAGE
    exit_status = 7


class DaemonError(HivekeepError):
    """The daemon is not running, already running, or did not answer."""

    code = ErrorCode.DAEMON
    exit_status = 8
