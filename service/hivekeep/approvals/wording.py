"""Requests in plain words: what would happen, how risky it is, what a lasting yes would cover.

Responsible for sentences and for the one text that is shown, printed and audited; not for asking.
Invariant: text from outside appears only inside quotation marks of ours and without control
characters, so that a file's name cannot forge a line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import PurePath

from hivekeep.domain.actions import Action, ActionKind, Label
from hivekeep.domain.approvals import (
    ApprovalRequest,
    ChangeKind,
    FileChange,
    Preview,
    Proposal,
)

_LONGEST = 400

_SENTENCES: dict[ActionKind, Callable[[Action], str]] = {
    ActionKind.READ_FILE: lambda a: f"Read the file {quoted(a.path)}",
    ActionKind.WRITE_FILE: lambda a: f"Write to {quoted(a.path)}",
    ActionKind.COPY_FILE: lambda a: f"Copy {quoted(_name(a.path))} to {quoted(a.target)}",
    ActionKind.MOVE_FILE: lambda a: f"Move {quoted(_name(a.path))} to {quoted(a.target)}",
    ActionKind.DELETE_FILE: lambda a: f"Delete {quoted(a.path)}",
    ActionKind.WATCH_FOLDER: lambda a: f"Watch the folder {quoted(a.path)}",
    ActionKind.START_RUN: lambda a: f"Start a run of {quoted(a.recipe)} over {a.count} files",
    ActionKind.SCHEDULE_RUN: lambda a: f"Run {quoted(a.recipe)} on a schedule",
    ActionKind.USE_RECIPE: lambda a: f"Use the recipe {quoted(a.recipe)}",
    ActionKind.USE_MODEL: lambda a: f"Use the model {quoted(a.model)}",
    ActionKind.DOWNLOAD_MODEL: lambda a: f"Download the model {quoted(a.model or a.host)}",
    ActionKind.CONNECT: lambda a: f"Connect to {quoted(a.host)}",
    ActionKind.REMOTE_INFERENCE: lambda a: f"Let the server {quoted(a.endpoint)} do the thinking",
    ActionKind.RAY_CLUSTER: lambda a: f"Hand work to the cluster {quoted(a.host)}",
    ActionKind.RUN_CODE: lambda _: "Run a program that the agent wrote, without network",
    ActionKind.RUN_COMMAND: lambda a: f"Run the command {quoted(_line(a))}",
    ActionKind.USE_TOOL: lambda a: f"Use the tool {quoted(a.tool)}",
    ActionKind.MCP_START: lambda a: f"Start the MCP server {quoted(a.server)}",
    ActionKind.MCP_CALL: lambda a: f"Call {quoted(a.tool)} of the server {quoted(a.server)}",
    ActionKind.BROWSER_VISIT: lambda a: f"Open a page of {quoted(a.site)} in the browser",
    ActionKind.BROWSER_ACT: lambda a: f"Do {quoted(a.verb)} on a page of {quoted(a.site)}",
    ActionKind.SEND_DATA: lambda a: f"Send data to {quoted(a.recipient)}",
    ActionKind.USE_MARKET_PROVIDER: lambda a: f"Ask {quoted(a.provider)} for market data",
    ActionKind.CLIPBOARD: lambda a: f"{a.verb.capitalize()} the clipboard",
    ActionKind.NOTIFY: lambda _: "Show a notification",
    ActionKind.EXPORT_AUDIT: lambda a: f"Export the audit log to {quoted(a.path or a.host)}",
    ActionKind.INSTALL_UPDATE: lambda _: "Install an update of Hivekeep",
}

_READS = frozenset(
    {ActionKind.READ_FILE, ActionKind.USE_RECIPE, ActionKind.USE_MODEL, ActionKind.BROWSER_VISIT}
)
_NETWORK = frozenset(
    {
        ActionKind.CONNECT,
        ActionKind.DOWNLOAD_MODEL,
        ActionKind.REMOTE_INFERENCE,
        ActionKind.RAY_CLUSTER,
        ActionKind.USE_MARKET_PROVIDER,
    }
)
_MISLED = (
    " Its details were chosen from text in a document, which may have been written to mislead."
)


def summarize(proposal: Proposal) -> str:
    """One sentence without a full stop: what would happen."""
    preview, action = proposal.preview, proposal.action
    if preview.message:
        return f"Send a message to {quoted(', '.join(preview.message.to))}"
    if preview.form:
        return f"Submit a form on {quoted(preview.form.site)}"
    if preview.command:
        return f"Run the command {quoted(' '.join(preview.command.arguments))}"
    return _SENTENCES[action.kind](action)


def risk_in_words(proposal: Proposal) -> str:
    """What could go wrong, in plain words."""
    told = _MISLED if proposal.action.label is Label.UNTRUSTED else ""
    return f"{_consequence(proposal)}{told}"


def _consequence(proposal: Proposal) -> str:
    preview, kind = proposal.preview, proposal.action.kind
    changes = [change.change for change in preview.files]
    lost = sum(change in (ChangeKind.OVERWRITE, ChangeKind.DELETE) for change in changes)
    if preview.message or kind is ActionKind.SEND_DATA:
        return "What has been sent cannot be taken back."
    if preview.form or kind is ActionKind.BROWSER_ACT:
        return "What is submitted leaves this machine and may be binding."
    if preview.command or kind is ActionKind.RUN_COMMAND:
        return "A command can change anything that you can change."
    if kind is ActionKind.RUN_CODE:
        return "The program runs without network and sees only the files that it was given."
    if lost or kind is ActionKind.DELETE_FILE:
        return f"{_files(max(lost, 1))} would be lost as it is now."
    if kind is ActionKind.MCP_CALL:
        return "The server gets these arguments and may do with them what it likes."
    if kind is ActionKind.MCP_START:
        return "A program runs in the sandbox and sees the folders that it was given."
    if kind in _NETWORK:
        return "This opens a connection to another machine."
    if kind is ActionKind.MOVE_FILE:
        return "The file leaves its folder; nothing is overwritten."
    if kind in (ActionKind.COPY_FILE, ActionKind.WRITE_FILE):
        return "A file is added; nothing is changed or deleted."
    if kind in _READS:
        return "Something is read; nothing is changed."
    return "Policy wants a person to know of this."


def place_of(proposal: Proposal) -> str:
    """Where an action takes effect: a folder, a host, or the program of a command."""
    preview, action = proposal.preview, proposal.action
    if preview.message:
        return ", ".join(sorted(preview.message.to))
    if preview.form:
        return preview.form.site
    if preview.command:
        # A yes to one command must not be a yes to the same program with other arguments.
        return " ".join(preview.command.arguments)
    if action.kind is ActionKind.RUN_COMMAND:
        return _line(action)
    if path := action.target or action.path:
        return str(PurePath(path).parent)
    names = (action.server, action.tool, action.site, action.verb, action.recipient, action.host,
             action.endpoint, action.provider, action.model, action.recipe)  # fmt: skip
    return " ".join(name for name in names if name) or action.payload_sha256


def scope_of(proposal: Proposal) -> tuple[str, str]:
    """What a lasting yes would cover: in words, and as a key for comparing."""
    place, kind = place_of(proposal), proposal.action.kind
    words = kind.value.replace("_", " ")
    key = "\0".join((kind.value, proposal.action.label.value, place))
    return f"{words}: {quoted(place)}" if place else words, key


def shown_text(request: ApprovalRequest) -> str:
    """Everything a person is told, as text: what the terminal prints and the audit log keeps."""
    return "\n".join(_lines(request))


def _lines(request: ApprovalRequest) -> Iterator[str]:
    asker = request.asker
    yield f"{request.summary}."
    yield f"Risk: {request.decision.risk.value}. {request.risk_text}"
    if asker.run:
        yield f"Run {asker.run} {quoted(asker.title)}, agent {asker.agent or '-'}"
        yield f"Recipe {quoted(asker.recipe)} ({asker.recipe_hash[:12]})"
    if asker.document:
        yield f"Document {quoted(asker.document)}"
    decision = request.decision
    yield f"Rule {decision.rule} ({quoted(decision.source)}): {plain(decision.reason)}"
    yield from _preview_lines(request.proposal.preview)
    for passage in request.proposal.passages:
        yield f"Read ({passage.label.value}) in {quoted(passage.origin)}: {quoted(passage.text)}"
    yield f"A lasting yes would cover: {request.scope}"
    until = datetime.fromtimestamp(request.expires, UTC)
    yield f"Without an answer until {until:%Y-%m-%d %H:%M:%S} UTC the answer is no."
    yield f"SHA-256 {request.digest}"


def _preview_lines(preview: Preview) -> Iterator[str]:
    for change in preview.files:
        yield _change(change)
    for text in preview.texts:
        yield f"Changes in {quoted(text.path)}:"
        yield from (f"  {plain(line)}" for line in text.lines)
        if text.left_out:
            yield f"  … and {text.left_out} more lines"
    if message := preview.message:
        yield f"To: {quoted(', '.join(message.to))}"
        yield f"Subject: {quoted(message.subject)}"
        yield from (f"  {plain(line)}" for line in message.body.splitlines())
        yield from (f"Attached: {quoted(name)}" for name in message.attachments)
    if form := preview.form:
        yield f"Site: {quoted(form.site)} ({quoted(form.url)})"
        yield from (f"  {quoted(name)} = {quoted(value)}" for name, value in form.fields)
    if command := preview.command:
        yield "Command: " + " ".join(quoted(part) for part in command.arguments)
        if command.folder:
            yield f"In: {quoted(command.folder)}"
    if preview.note:
        yield plain(preview.note)


def _change(change: FileChange) -> str:
    before, after = change.before, change.after
    text = f"{change.change.value.capitalize()}: {quoted(before.path)}"
    if after.path != before.path:
        text += f" to {quoted(after.path)}"
    return f"{text} ({before.size if before.exists else 0} -> {after.size} bytes)"


def plain(text: str) -> str:
    """``text`` on one line, without control or formatting characters."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def quoted(text: str) -> str:
    """``text`` from outside, in quotation marks that it cannot close."""
    kept = plain(" ".join(text.split())).replace('"', "'")
    return f'"{kept[:_LONGEST]}…"' if len(kept) > _LONGEST else f'"{kept}"'


def _name(path: str) -> str:
    return PurePath(path).name


def _line(action: Action) -> str:
    return " ".join((action.command, *action.arguments))


def _files(count: int) -> str:
    return "One file" if count == 1 else f"{count} files"
