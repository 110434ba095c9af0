"""Decisions about what goes beyond the run: network, browser, tools, code, messages.

Responsible for who may be reached and what may be called.  Invariant: a denied host stays denied by
whatever road it is reached.
"""

from __future__ import annotations

from hivekeep.domain.actions import Action, Decision, Effect
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
        return malformed("network.host", f"'{action.host}' is not a host.")
    return _denied_host(book, host) or _host_listed(
        book, "network.allowed_hosts", host, "connected to"
    )


def download_model(book: Rulebook, action: Action) -> Decision:
    """Whether a model may be downloaded, from ``host`` where one is known already."""
    if action.model:
        known = listed(book.rules("models.allowed"), action.model, f"The model '{action.model}'")
        if known.effect is Effect.DENY:
            return known
    if action.host:
        host = host_of(action.host)
        if host is None:
            return malformed("network.host", f"'{action.host}' is not a host.")
        denied = _denied_host(book, host)
        if denied is not None:
            return denied
    return chosen(book.setting("network.model_downloads"), "Downloading models")


def remote_inference(book: Rulebook, action: Action) -> Decision:
    """Whether prompts may be sent to an inference server."""
    origin = origin_of(action.endpoint)
    if origin is None:
        return malformed("network.endpoint", f"'{action.endpoint}' is not an endpoint.")
    denied = _denied_host(book, host_of_origin(origin))
    if denied is not None:
        return denied
    return listed(book.rules("network.remote_inference"), origin, f"The server '{origin}'")


def ray_cluster(book: Rulebook, action: Action) -> Decision:
    """Whether sub-agents may run on a cluster."""
    host = host_of_cluster(action.host.lower())
    if host is None:
        return malformed("network.host", f"'{action.host}' is not a cluster.")
    denied = _denied_host(book, host)
    if denied is not None:
        return denied
    cluster = action.host.lower()
    return listed(book.rules("network.ray_clusters"), cluster, f"The cluster '{cluster}'")


def browser_visit(book: Rulebook, action: Action) -> Decision:
    """Whether an agent may see a site."""
    host = host_of(action.site)
    if host is None:
        return malformed("browser.site", f"'{action.site}' is not a site.")
    never = book.rules("browser.denied_sites").first_of(names_matching(host))
    if never is not None:
        return no_by(never, f"'{host}' may not be seen.")
    return _denied_host(book, host) or _host_listed(book, "browser.allowed_sites", host, "seen")


def browser_act(book: Rulebook, action: Action) -> Decision:
    """Whether an agent may do something on a site."""
    place = browser_visit(book, action)
    if place.effect is Effect.DENY:
        return place
    verbs = book.rules("browser.allowed_actions")
    found = verbs.find(action.verb)
    if found is None:
        return no(verbs, f"'{action.verb}' may not be done in the browser.")
    return yes_by(found, f"'{action.verb}' may be done on '{action.site}'.")


def run_code(book: Rulebook, action: Action) -> Decision:
    """Whether Python code that imports these packages may run in the sandbox."""
    packages = book.rules("tools.python_packages")
    if not packages.anything:
        for name in action.packages:
            if packages.find(name.partition(".")[0]) is None:
                return no(packages, f"Code may not import '{name}'.")
    return chosen(book.setting("tools.run_code"), "Running code in the sandbox")


def run_command(book: Rulebook, action: Action) -> Decision:
    """Whether a program may be run."""
    return listed(book.rules("tools.commands"), action.command, f"The program '{action.command}'")


def use_tool(book: Rulebook, action: Action) -> Decision:
    """Whether a sub-agent may use a tool."""
    denied = book.rules("tools.denied").find(action.tool)
    if denied is not None:
        return no_by(denied, f"The tool '{action.tool}' may not be used.")
    return listed(book.rules("tools.allowed"), action.tool, f"The tool '{action.tool}'")


def mcp_start(book: Rulebook, action: Action) -> Decision:
    """Whether an MCP server may be started, with the network that it wants, or see a folder."""
    denied = book.rules("tools.denied").find(action.server)
    if denied is not None:
        return no_by(denied, f"The MCP server '{action.server}' may not be started.")
    named = listed(
        book.rules("tools.mcp_servers"), action.server, f"The MCP server '{action.server}'"
    )
    if named.effect is Effect.DENY:
        return named
    if action.verb:
        reached = listed(
            book.rules("tools.mcp_network"),
            action.server,
            f"The network for the MCP server '{action.server}'",
        )
        if reached.effect is Effect.DENY:
            return reached
    return show(book, action.path) if action.path else named


def mcp_call(book: Rulebook, action: Action) -> Decision:
    """Whether a tool of an MCP server may be called; it can be denied as ``server/tool`` too."""
    names = (f"{action.server}/{action.tool}", action.tool, action.server)
    denied = book.rules("tools.denied").first_of(names)
    if denied is not None:
        return no_by(denied, f"'{names[0]}' may not be called.")
    return listed(
        book.rules("tools.mcp_servers"), action.server, f"The MCP server '{action.server}'"
    )


def send_data(book: Rulebook, action: Action) -> Decision:
    """Whether data may be sent to somebody."""
    rules = book.rules("network.recipients")
    found = rules.first_of(names_of_recipient(action.recipient))
    if found is None:
        return no(rules, f"Nothing may be sent to '{action.recipient}'.")
    return yes_by(found, f"'{action.recipient}' may be sent to.")


def use_market_provider(book: Rulebook, action: Action) -> Decision:
    """Whether a provider of prices may be asked."""
    return listed(
        book.rules("market.allowed_providers"), action.provider, f"The provider '{action.provider}'"
    )


def _denied_host(book: Rulebook, host: str) -> Decision | None:
    found = book.rules("network.denied_hosts").first_of(names_matching(host))
    return None if found is None else no_by(found, f"'{host}' is a denied host.")


def _host_listed(book: Rulebook, key: str, host: str, verb: str) -> Decision:
    rules = book.rules(key)
    if rules.anything:
        return yes(rules, f"'{host}' may be {verb}.")
    found = rules.first_of(names_matching(host))
    if found is None:
        return no(rules, f"'{host}' may not be {verb}.")
    return yes_by(found, f"'{host}' may be {verb}.")
