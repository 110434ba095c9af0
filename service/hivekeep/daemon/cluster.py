"""The profile's Ray cluster, if it has one.

Responsible for ``cluster.json``; the connection is ``swarm.executors``'.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hivekeep.domain.errors import ConfigError
from hivekeep.swarm.executors import ClusterSettings

RAY = "ray"


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    address: str = Field(pattern=r"^(ray://)?[A-Za-z0-9._-]+:[0-9]{1,5}$")
    token_file: Path
    ca: Path
    certificate: Path
    key: Path


def load_cluster(path: Path) -> ClusterSettings | None:
    """The cluster that ``path`` describes; ``None`` if there is no such file.

    :raises ConfigError: if it is not understood, or names a file that does not exist.
    """
    try:
        found = _File.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError, ValueError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        place = ".".join(map(str, first["loc"])) if first else ""
        raise ConfigError(
            "The Ray cluster's settings are wrong.",
            why=f"{path}: {place + ': ' + first['msg'] if first else error}.",
            next_step="docs/outgrowing-one-machine.md shows what belongs there.",
        ) from error
    files = (found.token_file, found.ca, found.certificate, found.key)
    for file in files:
        if not file.is_file():
            raise ConfigError(
                "The Ray cluster's settings are wrong.",
                why=f"{path} names '{file}', which is not there.",
                next_step="Token authentication and TLS are needed; "
                "docs/outgrowing-one-machine.md says how to make the files.",
            )
    return ClusterSettings(found.address, *map(str, files))
