"""Which remote models a profile knows: one validated settings file.

Responsible for the file only.  Invariants: it never holds a key, and an address without TLS is
accepted only on this very machine.
"""

from __future__ import annotations

import ipaddress
import json
import os
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from hivekeep.domain.errors import ConfigError, NotFoundError, UsageError


class Guided(StrEnum):
    """How a server is told that an answer has to fit a schema."""

    JSON_SCHEMA = "json_schema"
    GUIDED_JSON = "guided_json"
    NONE = "none"


class RemoteModel(BaseModel):
    """One model of one server.

    ``model`` is the server's own name for it.  ``host_limit`` requests are under way to the host at
    most.  ``ca_file`` is a file of certificates that are trusted besides the system's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")
    url: str = Field(max_length=1000)
    model: str = Field(min_length=1, max_length=200)
    guided: Guided = Guided.JSON_SCHEMA
    ca_file: str = Field(default="", max_length=4096)
    host_limit: int = Field(default=64, ge=1, le=1000)
    silence_seconds: float = Field(default=120.0, gt=0, le=3600)
    attempts: int = Field(default=5, ge=1, le=20)

    @field_validator("url")
    @classmethod
    def _safe(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("it has to begin with https:// and name a host")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("it may have neither user, password, query nor fragment")
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise ValueError("without TLS (http://) only this machine itself may be used")
        return url.rstrip("/")

    @property
    def host(self) -> str:
        """The host that policy is asked about."""
        return urlsplit(self.url).hostname or ""

    @property
    def address(self) -> str:
        """Host and port, which requests are limited by."""
        return urlsplit(self.url).netloc

    @property
    def key_name(self) -> str:
        """What the server's key is called in the key store."""
        return f"remote:{self.name}"


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    models: tuple[RemoteModel, ...] = ()


class RemoteModels:
    """The remote models of the settings file ``path``.

    :raises ConfigError: if the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._models = {model.name: model for model in _read(path)}

    def __contains__(self, name: object) -> bool:
        return name in self._models

    def list(self) -> list[RemoteModel]:
        """Every one, in the order in which they were added."""
        return list(self._models.values())

    def get(self, name: str) -> RemoteModel:
        """The one called ``name``.

        :raises NotFoundError: if there is none.
        """
        model = self._models.get(name)
        if model is None:
            raise NotFoundError(
                f"There is no remote model '{name}'.", next_step="hivekeep models remote list"
            )
        return model

    def add(self, model: RemoteModel) -> None:
        """Remember a model; one of the same name is replaced."""
        self._models[model.name] = model
        self._write()

    def remove(self, name: str) -> RemoteModel:
        """Forget a model.

        :raises NotFoundError: if there is none of that name.
        """
        model = self.get(name)
        del self._models[name]
        self._write()
        return model

    def _write(self) -> None:
        text = _File(models=tuple(self._models.values())).model_dump_json(indent=2)
        fresh = self._path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)


def remote_model(**values: object) -> RemoteModel:
    """A remote model as a user described it.

    :raises UsageError: if the description is wrong.
    """
    try:
        return RemoteModel.model_validate(values)
    except ValidationError as error:
        raise UsageError("The remote model cannot be added.", why=_first(error)) from error


def _read(path: Path) -> tuple[RemoteModel, ...]:
    try:
        return _File.model_validate(json.loads(path.read_bytes())).models
    except FileNotFoundError:
        return ()
    except ValidationError as error:
        why = _first(error)
    except (OSError, ValueError, RecursionError) as error:
        why = f"{error}."
    raise ConfigError(
        f"The remote models in {path} cannot be used.",
        why=why,
        next_step="Correct the file, or remove it.",
    )


def _first(error: ValidationError) -> str:
    problem = error.errors()[0]
    place = ".".join(str(part) for part in problem["loc"])
    return f"{place}: {problem['msg'].removeprefix('Value error, ')}."


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
