"""Keys about what goes beyond the machine and the run: network, browser, tools, market, labels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hivekeep.domain.actions import ActionKind
from hivekeep.policy.markers import ASKABLE, Allow, Deny, ItemKind, Strictest
from hivekeep.policy.sections.base import Section
from hivekeep.policy.values import (
    Ask,
    BrowserVerb,
    Cluster,
    Endpoint,
    Host,
    Name,
    Package,
    Program,
    Recipient,
)


class NetworkRules(Section):
    """What may leave the machine."""

    allowed_hosts: Annotated[tuple[Host, ...], Allow(ItemKind.HOST)] = Field(
        default=(),
        description="Hosts that may be connected to; '*.example.com' means its subdomains.",
    )
    denied_hosts: Annotated[tuple[Host, ...], Deny(ItemKind.HOST)] = Field(
        default=(),
        description="Hosts that may not be connected to, whatever else allows them.",
    )
    model_downloads: Annotated[Ask, ASKABLE] = Field(
        default="ask", description="Whether models may be downloaded."
    )
    remote_inference: Annotated[tuple[Endpoint, ...], Allow(ItemKind.NAME)] = Field(
        default=(),
        description="Inference servers that prompts may be sent to, as 'https://llm.example.com'.",
    )
    ray_clusters: Annotated[tuple[Cluster, ...], Allow(ItemKind.NAME)] = Field(
        default=(), description="Ray clusters that sub-agents may run on, as 'host:port'."
    )
    recipients: Annotated[tuple[Recipient, ...], Allow(ItemKind.RECIPIENT)] = Field(
        default=(),
        description="Addresses that data may be sent to; '@example.com' means all of a domain.",
    )


class BrowserRules(Section):
    """What may be done in the user's browser."""

    allowed_sites: Annotated[tuple[Host, ...], Allow(ItemKind.HOST)] = Field(
        default=(),
        description="Sites that agents may see and act on; '*.example.com' means its subdomains.",
    )
    denied_sites: Annotated[tuple[Host, ...], Deny(ItemKind.HOST)] = Field(
        default=(), description="Sites that agents may never see, whatever else allows them."
    )
    allowed_actions: Annotated[tuple[BrowserVerb, ...], Allow(ItemKind.NAME)] = Field(
        default=("read", "scroll", "screenshot"),
        description="What agents may do on an allowed site.",
    )


class ToolRules(Section):
    """What sub-agents may call."""

    allowed: Annotated[tuple[Name, ...] | None, Allow(ItemKind.NAME)] = Field(
        default=None, description="Tools that sub-agents may use, by name. Not set: all."
    )
    denied: Annotated[tuple[Name, ...], Deny(ItemKind.NAME)] = Field(
        default=(), description="Tools that sub-agents may not use, by name."
    )
    mcp_servers: Annotated[tuple[Name, ...], Allow(ItemKind.NAME)] = Field(
        default=(),
        description="MCP servers that may be started and whose tools may be called, by name.",
    )
    mcp_network: Annotated[tuple[Name, ...], Allow(ItemKind.NAME)] = Field(
        default=(),
        description="MCP servers that may use the network, all of it, by name; the others have "
        "none.",
    )
    commands: Annotated[tuple[Program, ...], Allow(ItemKind.NAME)] = Field(
        default=(), description="Programs that may be run, by their absolute path."
    )
    run_code: Annotated[Ask, ASKABLE] = Field(
        default="allow",
        description="Whether sub-agents may run Python code in the sandbox, without network.",
    )
    python_packages: Annotated[tuple[Package, ...] | None, Allow(ItemKind.NAME)] = Field(
        default=None,
        description="Packages that code in the sandbox may import. Not set: all that are there.",
    )


class MarketRules(Section):
    """Where prices may come from."""

    allowed_providers: Annotated[tuple[Name, ...], Allow(ItemKind.NAME)] = Field(
        default=(), description="Market data providers that may be asked, by name."
    )


class LabelRules(Section):
    """What may be done on the word of data that is not trusted."""

    untrusted_actions: Annotated[tuple[ActionKind, ...], Allow(ItemKind.NAME)] = Field(
        default=(),
        description=(
            "Actions that may be taken although a document's text chose their details, for example "
            "'copy_file' into a folder whose name the model read off a document."
        ),
    )
    untrusted_otherwise: Annotated[Literal["deny", "ask"], Strictest(("deny", "ask"))] = Field(
        default="ask",
        description=(
            "What happens to every other action that a document's text chose: it is denied, or a "
            "person is asked."
        ),
    )
