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
from hivekeep.domain.saying import Said, say, together

_LONGEST = 400

_SENTENCES: dict[ActionKind, Callable[[Action], Said]] = {
    ActionKind.READ_FILE: lambda a: say(
        "do.read_file", "Read the file {path}", path=quoted(a.path)
    ),
    ActionKind.WRITE_FILE: lambda a: say("do.write_file", "Write to {path}", path=quoted(a.path)),
    ActionKind.COPY_FILE: lambda a: say(
        "do.copy_file", "Copy {name} to {target}", name=_quoted_name(a), target=quoted(a.target)
    ),
    ActionKind.MOVE_FILE: lambda a: say(
        "do.move_file", "Move {name} to {target}", name=_quoted_name(a), target=quoted(a.target)
    ),
    ActionKind.DELETE_FILE: lambda a: say("do.delete_file", "Delete {path}", path=quoted(a.path)),
    ActionKind.WATCH_FOLDER: lambda a: say(
        "do.watch_folder", "Watch the folder {path}", path=quoted(a.path)
    ),
    ActionKind.START_RUN: lambda a: say(
        "do.start_run",
        "Start a run of {recipe} over {count} files",
        recipe=quoted(a.recipe),
        count=a.count,
    ),
    ActionKind.SCHEDULE_RUN: lambda a: say(
        "do.schedule_run", "Run {recipe} on a schedule", recipe=quoted(a.recipe)
    ),
    ActionKind.USE_RECIPE: lambda a: say(
        "do.use_recipe", "Use the recipe {recipe}", recipe=quoted(a.recipe)
    ),
    ActionKind.USE_MODEL: lambda a: say(
        "do.use_model", "Use the model {model}", model=quoted(a.model)
    ),
    ActionKind.DOWNLOAD_MODEL: lambda a: say(
        "do.download_model", "Download the model {model}", model=quoted(a.model or a.host)
    ),
    ActionKind.CONNECT: lambda a: say("do.connect", "Connect to {host}", host=quoted(a.host)),
    ActionKind.REMOTE_INFERENCE: lambda a: say(
        "do.remote_inference", "Let the server {server} do the thinking", server=quoted(a.endpoint)
    ),
    ActionKind.RAY_CLUSTER: lambda a: say(
        "do.ray_cluster", "Hand work to the cluster {host}", host=quoted(a.host)
    ),
    ActionKind.RUN_CODE: lambda _: say(
        "do.run_code", "Run a program that the agent wrote, without network"
    ),
    ActionKind.RUN_COMMAND: lambda a: say(
        "do.run_command", "Run the command {command}", command=quoted(_line(a))
    ),
    ActionKind.USE_TOOL: lambda a: say("do.use_tool", "Use the tool {tool}", tool=quoted(a.tool)),
    ActionKind.MCP_START: lambda a: say(
        "do.mcp_start", "Start the MCP server {server}", server=quoted(a.server)
    ),
    ActionKind.MCP_CALL: lambda a: say(
        "do.mcp_call",
        "Call {tool} of the server {server}",
        tool=quoted(a.tool),
        server=quoted(a.server),
    ),
    ActionKind.BROWSER_VISIT: lambda a: say(
        "do.browser_visit", "Open a page of {site} in the browser", site=quoted(a.site)
    ),
    ActionKind.BROWSER_ACT: lambda a: say(
        "do.browser_act", "Do {verb} on a page of {site}", verb=quoted(a.verb), site=quoted(a.site)
    ),
    ActionKind.SEND_DATA: lambda a: say(
        "do.send_data", "Send data to {recipient}", recipient=quoted(a.recipient)
    ),
    ActionKind.USE_MARKET_PROVIDER: lambda a: say(
        "do.use_market_provider", "Ask {provider} for market data", provider=quoted(a.provider)
    ),
    ActionKind.CLIPBOARD: lambda a: (
        say("do.clipboard_read", "Read the clipboard")
        if a.verb == "read"
        else say("do.clipboard_write", "Write the clipboard")
    ),
    ActionKind.NOTIFY: lambda _: say("do.notify", "Show a notification"),
    ActionKind.EXPORT_AUDIT: lambda a: say(
        "do.export_audit", "Export the audit log to {place}", place=quoted(a.path or a.host)
    ),
    ActionKind.INSTALL_UPDATE: lambda _: say("do.install_update", "Install an update of Hivekeep"),
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


def summarize(proposal: Proposal) -> Said:
    """One sentence without a full stop: what would happen."""
    preview, action = proposal.preview, proposal.action
    if preview.message:
        return say(
            "do.send_message", "Send a message to {recipients}",
            recipients=quoted(", ".join(preview.message.to)),
        )  # fmt: skip
    if preview.form:
        return say("do.submit_form", "Submit a form on {site}", site=quoted(preview.form.site))
    if preview.command:
        command = quoted(" ".join(preview.command.arguments))
        return say("do.run_command", "Run the command {command}", command=command)
    return _SENTENCES[action.kind](action)


def risk_in_words(proposal: Proposal) -> Said:
    """What could go wrong, in plain words."""
    if proposal.action.label is not Label.UNTRUSTED:
        return _consequence(proposal)
    misled = say(
        "risk.misled",
        "Its details were chosen from text in a document, which may have been written to mislead.",
    )
    return together([_consequence(proposal), misled])


def _consequence(proposal: Proposal) -> Said:
    preview, kind = proposal.preview, proposal.action.kind
    changes = [change.change for change in preview.files]
    lost = sum(change in (ChangeKind.OVERWRITE, ChangeKind.DELETE) for change in changes)
    if preview.message or kind is ActionKind.SEND_DATA:
        return say("risk.sent", "What has been sent cannot be taken back.")
    if preview.form or kind is ActionKind.BROWSER_ACT:
        return say("risk.submitted", "What is submitted leaves this machine and may be binding.")
    if preview.command or kind is ActionKind.RUN_COMMAND:
        return say("risk.command", "A command can change anything that you can change.")
    if kind is ActionKind.RUN_CODE:
        return say(
            "risk.code",
            "The program runs without network and sees only the files that it was given.",
        )
    if lost > 1:
        return say("risk.lost", "{count} files would be lost as it is now.", count=lost)
    if lost or kind is ActionKind.DELETE_FILE:
        return say("risk.lost_one", "One file would be lost as it is now.")
    if kind is ActionKind.MCP_CALL:
        return say(
            "risk.mcp_call",
            "The server gets these arguments and may do with them what it likes.",
        )
    if kind is ActionKind.MCP_START:
        return say(
            "risk.mcp_start",
            "A program runs in the sandbox and sees the folders that it was given.",
        )
    if kind in _NETWORK:
        return say("risk.network", "This opens a connection to another machine.")
    if kind is ActionKind.MOVE_FILE:
        return say("risk.moved", "The file leaves its folder; nothing is overwritten.")
    if kind in (ActionKind.COPY_FILE, ActionKind.WRITE_FILE):
        return say("risk.added", "A file is added; nothing is changed or deleted.")
    if kind in _READS:
        return say("risk.read", "Something is read; nothing is changed.")
    return say("risk.known", "Policy wants a person to know of this.")


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
    name = say("scope.kind", "{kind}", kind=kind.value.replace("_", " "))
    key = "\0".join((kind.value, proposal.action.label.value, place))
    if not place:
        return name, key
    return say("scope.place", "{kind}: {place}", kind=name, place=quoted(place)), key


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


def _quoted_name(action: Action) -> str:
    return quoted(PurePath(action.path).name)


def _line(action: Action) -> str:
    return " ".join((action.command, *action.arguments))
