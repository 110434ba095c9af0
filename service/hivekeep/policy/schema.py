"""Every key of a policy: its type, its default, and how several files combine.

Responsible for the one pydantic schema that files are validated by and that documentation and JSON
Schema are generated from.  Invariant: an unknown key is an error, and each key says by its marker
how it can be tightened, so that nothing combines by accident.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from hivekeep.domain.actions import ActionKind
from hivekeep.policy.types import suffixes_of


class ItemKind(StrEnum):
    """What a list holds; it decides when one item covers another."""

    FOLDER = "folder"
    TYPE = "type"
    NAME = "name"
    HOST = "host"


@dataclass(frozen=True, slots=True)
class Allow:
    """A list of what may be; files combine to what all of them allow."""

    kind: ItemKind


@dataclass(frozen=True, slots=True)
class Deny:
    """A list of what may not be; files combine to what any of them denies."""

    kind: ItemKind


@dataclass(frozen=True, slots=True)
class Lowest:
    """A limit; the lowest counts."""


@dataclass(frozen=True, slots=True)
class Strictest:
    """A choice; the earliest of ``order`` counts."""

    order: tuple[Any, ...]


Marker = Allow | Deny | Lowest | Strictest
_GRANT = Strictest((False, True))


def _folder(text: str) -> str:
    parts = text.split("/")
    if not (text.startswith(("/", "~/")) or text == "~") or "\0" in text:
        raise ValueError("a folder is an absolute path, or starts with '~/'")
    if ".." in parts or "." in parts:
        raise ValueError("a folder may not contain '.' or '..'")
    return text


def _file_type(text: str) -> str:
    suffixes_of(text)
    return text


def _host(text: str) -> str:
    if not re.fullmatch(r"(\*\.)?[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?|[0-9A-Fa-f:]+", text):
        raise ValueError("a host is a name, '*.domain' or an address, without port or path")
    return text


Folder = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_folder)]
FileType = Annotated[str, Field(min_length=2, max_length=100), AfterValidator(_file_type)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Host = Annotated[str, Field(min_length=1, max_length=253), AfterValidator(_host)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FileRules(_Section):
    """Which files may be read, and where results may be written."""

    allowed_folders: Annotated[tuple[Folder, ...] | None, Allow(ItemKind.FOLDER)] = Field(
        default=None,
        description="Folders that may be read and watched. Not set: all that the user may.",
    )
    denied_folders: Annotated[tuple[Folder, ...], Deny(ItemKind.FOLDER)] = Field(
        default=(), description="Folders that may be neither read, watched nor written to."
    )
    allowed_types: Annotated[tuple[FileType, ...] | None, Allow(ItemKind.TYPE)] = Field(
        default=None,
        description="File types that may be read, as '.pdf' or 'image/*'. Not set: all.",
    )
    denied_types: Annotated[tuple[FileType, ...], Deny(ItemKind.TYPE)] = Field(
        default=(), description="File types that may not be read, as '.msg' or 'image/*'."
    )
    output_folders: Annotated[tuple[Folder, ...] | None, Allow(ItemKind.FOLDER)] = Field(
        default=None, description="Folders that results may be written to. Not set: all not denied."
    )
    max_size: Annotated[int | None, Lowest()] = Field(
        default=None,
        ge=0,
        description="The largest file that may be read, in bytes. Not set: no limit.",
    )


class RunRules(_Section):
    """How large a run may be."""

    max_documents: Annotated[int, Lowest()] = Field(
        default=10_000, ge=0, description="The most documents that one run may have."
    )
    max_agents: Annotated[int, Lowest()] = Field(
        default=300, ge=0, le=300, description="The most sub-agents alive at the same time."
    )


class RecipeRules(_Section):
    """Which recipes may be used."""

    allowed: Annotated[tuple[Name, ...] | None, Allow(ItemKind.NAME)] = Field(
        default=None, description="Recipes that may be used, by name. Not set: all."
    )
    user_recipes: Annotated[bool, _GRANT] = Field(
        default=True, description="Whether recipes that did not ship with Hivekeep may be used."
    )


class ModelRules(_Section):
    """Which models may be used."""

    allowed: Annotated[tuple[Name, ...] | None, Allow(ItemKind.NAME)] = Field(
        default=None, description="Models that may be used, by name. Not set: all."
    )
    allowed_sha256: Annotated[tuple[Sha256, ...] | None, Allow(ItemKind.NAME)] = Field(
        default=None,
        description="Models that may be used, by the SHA-256 of their file. Not set: all.",
    )


class NetworkRules(_Section):
    """What may leave the machine."""

    allowed_hosts: Annotated[tuple[Host, ...], Allow(ItemKind.HOST)] = Field(
        default=(),
        description="Hosts that may be connected to; '*.example.com' means its subdomains.",
    )
    model_downloads: Annotated[
        Literal["deny", "ask", "allow"], Strictest(("deny", "ask", "allow"))
    ] = Field(default="ask", description="Whether models may be downloaded.")


class FileActionRules(_Section):
    """What recipes may do with their input files; a recipe has to ask for it as well."""

    # 'copy' would hide a method of pydantic's models.
    allow_copy: Annotated[bool, _GRANT] = Field(
        default=False, description="Whether recipes may copy files."
    )
    allow_move: Annotated[bool, _GRANT] = Field(
        default=False, description="Whether recipes may move files."
    )
    target_folders: Annotated[tuple[Folder, ...], Allow(ItemKind.FOLDER)] = Field(
        default=(),
        description="Folders that files may be copied or moved into, with all below them.",
    )


class LabelRules(_Section):
    """What may be done on the word of data that is not trusted."""

    untrusted_actions: Annotated[tuple[ActionKind, ...], Allow(ItemKind.NAME)] = Field(
        default=(),
        description=(
            "Actions that may be taken although a document's text chose their details, for example "
            "'copy_file' into a folder whose name the model read off a document."
        ),
    )


class WatchRules(_Section):
    """Whether folders may be watched."""

    allowed: Annotated[bool, _GRANT] = Field(
        default=True, description="Whether folders may be watched for new files."
    )


class PolicySettings(_Section):
    """A Hivekeep policy."""

    files: FileRules = FileRules()
    runs: RunRules = RunRules()
    recipes: RecipeRules = RecipeRules()
    models: ModelRules = ModelRules()
    network: NetworkRules = NetworkRules()
    file_actions: FileActionRules = FileActionRules()
    labels: LabelRules = LabelRules()
    watch: WatchRules = WatchRules()


def markers() -> dict[str, Marker]:
    """Every key, as ``section.name``, with how it combines."""
    found: dict[str, Marker] = {}
    for section, holder in PolicySettings.model_fields.items():
        rules = holder.annotation
        if not (isinstance(rules, type) and issubclass(rules, BaseModel)):
            raise TypeError(f"{section} is not a section")
        for name, field in rules.model_fields.items():
            marker = next(m for m in field.metadata if isinstance(m, Marker))
            found[f"{section}.{name}"] = marker
    return found


def policy_schema() -> dict[str, Any]:
    """The JSON Schema of a policy file."""
    schema = PolicySettings.model_json_schema()
    # Editors find the schema by this key; the loader ignores it.
    schema["properties"] = {"$schema": {"type": "string"}, **schema["properties"]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def policy_schema_text() -> str:
    """``policies/schema.json`` as it has to be."""
    return json.dumps(policy_schema(), indent=2, ensure_ascii=False) + "\n"
