"""Keys about files: what may be read, where results go, what recipes may do with their inputs."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hivekeep.policy.markers import GRANT, Allow, Deny, ItemKind, Lowest
from hivekeep.policy.sections.base import Section
from hivekeep.policy.values import FileType, Folder


class FileRules(Section):
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
    read_only_folders: Annotated[tuple[Folder, ...], Deny(ItemKind.FOLDER)] = Field(
        default=(),
        description="Folders that may be read but in which nothing is written, moved or deleted.",
    )
    max_size: Annotated[int | None, Lowest()] = Field(
        default=None,
        ge=0,
        le=2**53,
        description="The largest file that may be read, in bytes. Not set: no limit.",
    )


class FileActionRules(Section):
    """What recipes may do with their input files; a recipe has to ask for it as well."""

    # 'copy' would hide a method of pydantic's models.
    allow_copy: Annotated[bool, GRANT] = Field(
        default=False, description="Whether recipes may copy files."
    )
    allow_move: Annotated[bool, GRANT] = Field(
        default=False, description="Whether recipes may move files."
    )
    allow_delete: Annotated[bool, GRANT] = Field(
        default=False, description="Whether files may be deleted."
    )
    target_folders: Annotated[tuple[Folder, ...], Allow(ItemKind.FOLDER)] = Field(
        default=(),
        description="Folders that files may be copied or moved into, with all below them.",
    )
