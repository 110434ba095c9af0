"""The MCP servers of a profile: how each is started, and what it said its tools are.

Responsible for the file ``mcp.json`` and for its types.  Invariants: a tool is known by the very
description that a person has seen; one that a server describes otherwise is another tool.  What is
in a server's environment may be a token, so it is kept among the profile's secrets, never in the
file.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hivekeep.domain.errors import ConfigError, NotFoundError, StorageError

logger = logging.getLogger(__name__)

MOST_TOOLS = 64
_LONGEST = 64 * 1024

ServerName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
_Part = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\x00]*$")]
_Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
_Folder = Annotated[str, Field(max_length=4096, pattern=r"^/[^\x00]*$")]


class ToolPin(BaseModel):
    """One tool as its server described it when a person agreed to it."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    name: str = Field(min_length=1, max_length=100)
    description: str = Field(default="", max_length=_LONGEST)
    arguments: dict[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 of name, description and schema."""
        said = [self.name, self.description, self.arguments]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


class Server(BaseModel):
    """One server: its command line, what it may see, and its tools.

    ``command`` begins with the absolute path of a program.  ``environment`` is what it finds there
    besides the usual.  ``read`` are folders and files it is shown, read-only, besides the system's
    programs.  ``network`` is what it wants; policy has to grant it.  ``seconds`` bounds one call.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    name: ServerName
    command: tuple[_Part, ...] = Field(min_length=1, max_length=100)
    environment: dict[_Variable, str] = Field(default_factory=dict, repr=False, exclude=True)
    read: tuple[_Folder, ...] = ()
    network: bool = False
    seconds: float = Field(default=60.0, ge=1.0, le=600.0)
    tools: tuple[ToolPin, ...] = Field(default=(), max_length=MOST_TOOLS)

    def tool(self, name: str) -> ToolPin | None:
        """The tool of this name, as it was agreed to."""
        return next((tool for tool in self.tools if tool.name == name), None)


class _Kept(BaseModel):
    """A server as the file has it: only the names of what is in its environment."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    server: Server
    variables: tuple[_Variable, ...] = ()


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", defer_build=True)

    servers: tuple[_Kept, ...] = ()


class Secrets(Protocol):
    """Where the values of environments are kept."""

    def get(self, name: str) -> bytes | None:
        """The secret of this name, ``None`` if there is none."""
        ...

    def put(self, name: str, value: bytes) -> None:
        """Keep it; durable when this returns."""
        ...

    def delete(self, name: str) -> None:
        """Forget it, if there is one."""
        ...


class ServerFile:
    """``mcp.json`` of a profile; only its owner can read it.

    :raises ConfigError: if the file cannot be understood.
    :raises SecretsError: if the secrets cannot be read, if there are any.
    """

    def __init__(self, path: Path, secrets: Secrets) -> None:
        self._path, self._secrets = path, secrets
        self._servers = {kept.server.name: self._whole(kept) for kept in _load(path)}

    @property
    def servers(self) -> tuple[Server, ...]:
        """All servers by name."""
        return tuple(self._servers[name] for name in sorted(self._servers))

    def get(self, name: str) -> Server:
        """:raises NotFoundError: if there is no such server."""
        if name not in self._servers:
            raise NotFoundError(
                f"There is no MCP server '{name[:80]}'.", next_step="'hivekeep mcp list' names all."
            )
        return self._servers[name]

    def put(self, server: Server) -> None:
        """Add or replace a server.

        :raises StorageError: if it cannot be kept; then the servers are as they were.
        :raises SecretsError: likewise.
        """
        if server.environment:
            self._secrets.put(_secret(server.name), json.dumps(server.environment).encode())
        self._save({**self._servers, server.name: server})

    def remove(self, name: str) -> Server:
        """Forget a server.

        :raises NotFoundError: if there is no such server.
        """
        gone = self.get(name)
        self._save({key: one for key, one in self._servers.items() if key != name})
        if gone.environment:
            self._secrets.delete(_secret(name))
        return gone

    def _whole(self, kept: _Kept) -> Server:
        """A server with its environment, as far as that is still there."""
        if not kept.variables:
            return kept.server
        name = kept.server.name
        values = json.loads(self._secrets.get(_secret(name)) or b"{}")
        if lost := [variable for variable in kept.variables if variable not in values]:
            logger.warning(
                "MCP server %s starts without %s, which the profile's secrets do not have any more;"
                " 'hivekeep mcp add %s --env …' keeps it again.", name, ", ".join(lost), name,
            )  # fmt: skip
        known = {variable: values[variable] for variable in kept.variables if variable in values}
        return kept.server.model_copy(update={"environment": known})

    def _save(self, servers: dict[str, Server]) -> None:
        kept = (_Kept(server=s, variables=tuple(sorted(s.environment))) for s in servers.values())
        text = _File(servers=tuple(kept)).model_dump_json(indent=2)
        temporary = self._path.with_name(f".{self._path.name}.new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        try:
            with os.fdopen(os.open(temporary, flags, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
        except OSError as error:
            raise StorageError(
                "The MCP servers cannot be saved.", why=f"{self._path}: {error.strerror}."
            ) from error
        self._servers = servers


def pins_of(listing: Iterable[Any]) -> tuple[ToolPin, ...]:
    """The tools in what a server listed; those that are not described as they have to be are left
    out, and so are those past the first ``MOST_TOOLS`` and those that take a name twice.
    """
    found: dict[str, ToolPin] = {}
    for item in listing:
        try:
            pin = ToolPin.model_validate(item)
        except ValidationError:
            continue
        if len(found) < MOST_TOOLS and len(json.dumps(pin.arguments)) <= _LONGEST:
            found.setdefault(pin.name, pin)
    return tuple(found.values())


def _secret(server: str) -> str:
    return f"mcp.{server}"


def _load(path: Path) -> tuple[_Kept, ...]:
    try:
        raw = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read.", why=f"{error}.") from error
    try:
        return _File.model_validate_json(raw).servers
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"{path} cannot be understood.",
            why=f"{place}: {first['msg']}.",
            next_step="Correct it, or move it away and add the servers again.",
        ) from error
