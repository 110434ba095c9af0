"""Decisions about what goes beyond the run: network, browser, tools, code, messages.

Responsible for who may be reached and what may be called.  Invariant: a denied host stays denied by
whatever road it is reached.
"""

from __future__ import annotations

from hivekeep.domain.actions import Action, Decision, Effect
from hivekeep.domain.saying import Said, say
from hivekeep.policy.addresses import (
    host_of,
    host_of_cluster,
    host_of_origin,
    names_matching,
    names_of_recipient,
    origin_of,
)
from hivekeep.policy.deciding.answers import chosen, listed, malformed, no, no_by, yes, yes_by
from hivekeep.policy.deciding.files import show
from hivekeep.policy.rules import Rulebook


def connect(book: Rulebook, action: Action) -> Decision:
    """Whether a connection to a host may be made."""
    host = host_of(action.host)
    if host is None:
        return malformed(
            "network.host", say("rule.no_host", "'{host}' is not a host.", host=action.host)
        )
    may = say("rule.connect", "'{host}' may be connected to.", host=host)
    may_not = say("rule.no_connect", "'{host}' may not be connected to.", host=host)
    listed_host = _host_listed(book, "network.allowed_hosts", host, may, may_not)
    return _denied_host(book, host) or listed_host


def download_model(book: Rulebook, action: Action) -> Decision:
    """Whether a model may be downloaded, from ``host`` where one is known already."""
    if action.model:
        known = listed(
            book.rules("models.allowed"),
            action.model,
            say("subject.model", "The model '{name}'", name=action.model),
        )
        if known.effect is Effect.DENY:
            return known
    if action.host:
        host = host_of(action.host)
        if host is None:
            return malformed(
                "network.host", say("rule.no_host", "'{host}' is not a host.", host=action.host)
            )
        denied = _denied_host(book, host)
        if denied is not None:
            return denied
    return chosen(
        book.setting("network.model_downloads"), say("subject.downloads", "Downloading models")
    )


def remote_inference(book: Rulebook, action: Action) -> Decision:
    """Whether prompts may be sent to an inference server."""
    origin = origin_of(action.endpoint)
    if origin is None:
        return malformed(
            "network.endpoint",
            say("rule.no_endpoint", "'{address}' is not an endpoint.", address=action.endpoint),
        )
    denied = _denied_host(book, host_of_origin(origin))
    if denied is not None:
        return denied
    return listed(
        book.rules("network.remote_inference"),
        origin,
        say("subject.server", "The server '{name}'", name=origin),
    )


def ray_cluster(book: Rulebook, action: Action) -> Decision:
    """Whether sub-agents may run on a cluster."""
    host = host_of_cluster(action.host.lower())
    if host is None:
        return malformed(
            "network.host", say("rule.no_cluster", "'{host}' is not a cluster.", host=action.host)
        )
    denied = _denied_host(book, host)
    if denied is not None:
        return denied
    cluster = action.host.lower()
    return listed(
        book.rules("network.ray_clusters"),
        cluster,
        say("subject.cluster", "The cluster '{name}'", name=cluster),
    )


def browser_visit(book: Rulebook, action: Action) -> Decision:
    """Whether an agent may see a site."""
    host = host_of(action.site)
    if host is None:
        return malformed(
            "browser.site", say("rule.no_site", "'{site}' is not a site.", site=action.site)
        )
    never = book.rules("browser.denied_sites").first_of(names_matching(host))
    if never is not None:
        return no_by(never, say("rule.not_seen", "'{host}' may not be seen.", host=host))
    may = say("rule.seen", "'{host}' may be seen.", host=host)
    may_not = say("rule.not_seen", "'{host}' may not be seen.", host=host)
    listed_host = _host_listed(book, "browser.allowed_sites", host, may, may_not)
    return _denied_host(book, host) or listed_host


def browser_act(book: Rulebook, action: Action) -> Decision:
    """Whether an agent may do something on a site."""
    place = browser_visit(book, action)
    if place.effect is Effect.DENY:
        return place
    verbs = book.rules("browser.allowed_actions")
    found = verbs.find(action.verb)
    if found is None:
        return no(
            verbs,
            say("rule.not_done", "'{verb}' may not be done in the browser.", verb=action.verb),
        )
    reason = say(
        "rule.done_on", "'{verb}' may be done on '{site}'.", verb=action.verb, site=action.site
    )
    return yes_by(found, reason)


def run_code(book: Rulebook, action: Action) -> Decision:
    """Whether Python code that imports these packages may run in the sandbox."""
    packages = book.rules("tools.python_packages")
    if not packages.anything:
        for name in action.packages:
            if packages.find(name.partition(".")[0]) is None:
                return no(
                    packages, say("rule.no_import", "Code may not import '{name}'.", name=name)
                )
    return chosen(
        book.setting("tools.run_code"), say("subject.code", "Running code in the sandbox")
    )


def run_command(book: Rulebook, action: Action) -> Decision:
    """Whether a program may be run."""
    return listed(
        book.rules("tools.commands"),
        action.command,
        say("subject.program", "The program '{name}'", name=action.command),
    )


def use_tool(book: Rulebook, action: Action) -> Decision:
    """Whether a sub-agent may use a tool."""
    denied = book.rules("tools.denied").find(action.tool)
    if denied is not None:
        return no_by(
            denied, say("rule.no_tool", "The tool '{name}' may not be used.", name=action.tool)
        )
    return listed(
        book.rules("tools.allowed"),
        action.tool,
        say("subject.tool", "The tool '{name}'", name=action.tool),
    )


def mcp_start(book: Rulebook, action: Action) -> Decision:
    """Whether an MCP server may be started, with the network that it wants, or see a folder."""
    denied = book.rules("tools.denied").find(action.server)
    if denied is not None:
        return no_by(
            denied,
            say(
                "rule.no_mcp_start",
                "The MCP server '{name}' may not be started.",
                name=action.server,
            ),
        )
    named = _mcp_server_listed(book, action)
    if named.effect is Effect.DENY:
        return named
    if action.verb:
        reached = listed(
            book.rules("tools.mcp_network"),
            action.server,
            say(
                "subject.mcp_network", "The network for the MCP server '{name}'", name=action.server
            ),
        )
        if reached.effect is Effect.DENY:
            return reached
    return show(book, action.path) if action.path else named


def mcp_call(book: Rulebook, action: Action) -> Decision:
    """Whether a tool of an MCP server may be called; it can be denied as ``server/tool`` too."""
    names = (f"{action.server}/{action.tool}", action.tool, action.server)
    denied = book.rules("tools.denied").first_of(names)
    if denied is not None:
        return no_by(denied, say("rule.not_called", "'{name}' may not be called.", name=names[0]))
    return _mcp_server_listed(book, action)


def send_data(book: Rulebook, action: Action) -> Decision:
    """Whether data may be sent to somebody."""
    rules = book.rules("network.recipients")
    found = rules.first_of(names_of_recipient(action.recipient))
    if found is None:
        return no(
            rules,
            say(
                "rule.no_recipient",
                "Nothing may be sent to '{recipient}'.",
                recipient=action.recipient,
            ),
        )
    return yes_by(
        found, say("rule.recipient", "'{recipient}' may be sent to.", recipient=action.recipient)
    )


def use_market_provider(book: Rulebook, action: Action) -> Decision:
    """Whether a provider of prices may be asked."""
    return listed(
        book.rules("market.allowed_providers"),
        action.provider,
        say("subject.provider", "The provider '{name}'", name=action.provider),
    )


def _mcp_server_listed(book: Rulebook, action: Action) -> Decision:
    return listed(
        book.rules("tools.mcp_servers"),
        action.server,
        say("subject.mcp", "The MCP server '{name}'", name=action.server),
    )


def _denied_host(book: Rulebook, host: str) -> Decision | None:
    found = book.rules("network.denied_hosts").first_of(names_matching(host))
    return (
        None
        if found is None
        else no_by(found, say("rule.denied_host", "'{host}' is a denied host.", host=host))
    )


def _host_listed(book: Rulebook, key: str, host: str, may: Said, may_not: Said) -> Decision:
    rules = book.rules(key)
    if rules.anything:
        return yes(rules, may)
    found = rules.first_of(names_matching(host))
    return no(rules, may_not) if found is None else yes_by(found, may)
