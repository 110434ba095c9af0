"""The catalog: every known model with its licence, size, hash, needs and sources in order.

Responsible for reading and validating catalog files; not for obtaining anything.  Invariant: a name
is safe as a file name, and a model without a SHA-256 does not exist.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hivekeep.domain.errors import ConfigError

DEFAULT_MODEL = "qwen2.5-coder-1.5b-instruct-q4_k_m"
USER_CATALOG = "catalog.yaml"
_BUILT_IN = Path(__file__).with_name("catalog.yaml")
_MAX_BYTES = 1_000_000


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PackageIndexSource(_Strict):
    """Wheels on a package index, read as zips; ``{part}`` in ``package`` counts from 1."""

    kind: Literal["package_index"]
    package: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(\{part\})?$", max_length=100)
    version: str = Field(min_length=1, max_length=40)
    parts: int = Field(default=1, ge=1, le=1000)
    member: str = Field(min_length=1, max_length=200)

    @model_validator(mode="after")
    def _parts_have_names(self) -> PackageIndexSource:
        if self.parts > 1 and "{part}" not in self.package:
            raise ValueError("a package in several parts needs '{part}' in its name")
        return self

    def packages(self) -> tuple[str, ...]:
        """The packages in the order in which their members are joined."""
        return tuple(
            self.package.replace("{part}", str(number)) for number in range(1, self.parts + 1)
        )


class HuggingFaceSource(_Strict):
    """One file behind a URL."""

    kind: Literal["huggingface"]
    url: str = Field(pattern=r"^https?://", max_length=1000)


class FolderSource(_Strict):
    """A folder on the network; ``path`` empty means ``$HIVEKEEP_MODELS_MIRROR``."""

    kind: Literal["folder"]
    path: str = ""


class FileSource(_Strict):
    """A GGUF file of the user's own."""

    kind: Literal["file"]
    path: str = Field(min_length=1)


Source = PackageIndexSource | HuggingFaceSource | FolderSource | FileSource
SOURCE_KINDS = ("package_index", "huggingface", "folder", "file")


class ModelEntry(_Strict):
    """One model. ``size`` and ``memory`` are bytes, ``context`` is tokens."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")
    title: str = Field(min_length=1, max_length=200)
    licence: str = Field(min_length=1, max_length=100)
    size: int = Field(gt=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    context: int = Field(gt=0)
    memory: int = Field(gt=0)
    sources: tuple[Annotated[Source, Field(discriminator="kind")], ...] = ()


class _CatalogFile(_Strict):
    models: tuple[ModelEntry, ...]


class Catalog(Mapping[str, ModelEntry]):
    """Models by name, in the order of their files."""

    def __init__(self, entries: Mapping[str, ModelEntry]) -> None:
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> ModelEntry:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def load_catalog(user_file: Path | None = None) -> Catalog:
    """The built-in models and, where the file exists, the user's own.

    :raises ConfigError: if the user's file is wrong or takes a built-in name.
    """
    entries = {entry.name: entry for entry in _read(_BUILT_IN)}
    if user_file is not None and user_file.exists():
        for entry in _read(user_file):
            if entry.name in entries:
                raise ConfigError(
                    f"The model catalog {user_file} cannot be used.",
                    why=f"The name '{entry.name}' is taken.",
                    next_step="Give your model another name.",
                )
            entries[entry.name] = entry
    return Catalog(entries)


def _read(path: Path) -> tuple[ModelEntry, ...]:
    try:
        text = path.read_bytes()[: _MAX_BYTES + 1]
        if len(text) > _MAX_BYTES:
            raise ValueError("the file is larger than 1 MB")
        return _CatalogFile.model_validate(yaml.safe_load(text)).models
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        why = f"{place}: {first['msg']}."
    except OSError as error:
        why = f"{error.strerror}."
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        why = f"{' '.join(str(error).split())}."
    raise ConfigError(
        f"The model catalog {path} cannot be used.",
        why=why,
        next_step="Correct the file, or remove it to use only the built-in models.",
    )
