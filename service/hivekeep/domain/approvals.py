"""What a person is asked before a risky action, and what they can answer.

Plain types only.  Invariant: a request names by hash exactly one action with exactly one content;
whoever answers answers that, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from hivekeep.domain.actions import Action, Decision, Label


class Answer(StrEnum):
    """What a person can say."""

    ONCE = "once"
    """Yes, to exactly this."""
    RUN = "run"
    """Yes, and to the same kind of thing in the same place for the rest of this run."""
    ALWAYS = "always"
    """Yes, whenever this very recipe asks for it; only where policy allows such an answer."""
    DENY = "deny"
    DENY_STOP = "deny_stop"
    """No, and the run is to be cancelled."""

    @property
    def allows(self) -> bool:
        """Whether the action may happen."""
        return self in (Answer.ONCE, Answer.RUN, Answer.ALWAYS)


class ApprovalState(StrEnum):
    """Where a request stands; everything but ``PENDING`` is final."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    """Nobody answered in time, which means no."""
    WITHDRAWN = "withdrawn"
    """Its run ended, or what would be done has changed and was asked for anew."""


class ChangeKind(StrEnum):
    """What would become of one file."""

    CREATE = "create"
    OVERWRITE = "overwrite"
    COPY = "copy"
    MOVE = "move"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it is, or would be. ``size`` is in bytes; ``sha256`` is empty if not known."""

    path: str
    exists: bool
    size: int = 0
    modified: float | None = None
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file before and after."""

    change: ChangeKind
    before: FileState
    after: FileState


@dataclass(frozen=True, slots=True)
class TextChange:
    """The lines of a text that would change, as a unified diff; ``left_out`` lines are not here."""

    path: str
    lines: tuple[str, ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class MessagePreview:
    """A message that would be sent."""

    to: tuple[str, ...]
    subject: str
    body: str
    attachments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FormPreview:
    """A form that would be submitted: where, and each field's name and value."""

    site: str
    url: str
    fields: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class CommandPreview:
    """A command that would be run, argument by argument, and where."""

    arguments: tuple[str, ...]
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """What exactly would be done; the parts that do not apply are empty."""

    files: tuple[FileChange, ...] = ()
    texts: tuple[TextChange, ...] = ()
    message: MessagePreview | None = None
    form: FormPreview | None = None
    command: CommandPreview | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Passage:
    """Words an agent has read. ``origin`` says where they stand, for a person."""

    text: str
    origin: str
    label: Label = Label.UNTRUSTED


@dataclass(frozen=True, slots=True)
class Asker:
    """Who wants to act: a run's agent, on behalf of a recipe. Empty for the daemon itself."""

    run: str = ""
    agent: str = ""
    recipe: str = ""
    recipe_hash: str = ""
    title: str = ""
    document: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """One action with its content, as it would be done now."""

    action: Action
    preview: Preview = Preview()
    passages: tuple[Passage, ...] = ()


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """A question to a person. Times are seconds since the epoch.

    ``decision`` is the policy's, which asks.  ``digest`` is the SHA-256 of the action and its
    preview in canonical form.  ``scope`` says, for a person, what ``RUN`` and ``ALWAYS`` would
    cover; ``scope_key`` is the same for comparing.  ``group`` is equal for requests that can
    sensibly be answered together.  ``said`` has ids and values of summary, risk, scope and
    reason, for whoever shows them in another language.
    """

    id: str
    proposal: Proposal
    digest: str
    asker: Asker
    decision: Decision
    risk_text: str
    summary: str
    scope: str
    scope_key: str
    group: str
    created: float
    expires: float
    said: dict[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one request. ``by`` is who, ``via`` through which program."""

    state: ApprovalState
    answer: Answer | None
    by: str
    via: str
    at: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """A lasting yes: for a run, or for one version of a recipe."""

    id: str
    scope: str
    scope_key: str
    run: str
    recipe: str
    recipe_hash: str
    by: str
    at: float
