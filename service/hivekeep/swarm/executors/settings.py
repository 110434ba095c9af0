"""How a Ray cluster is reached, and what Ray is told.

Responsible for the plain data, which is read at every start; speaking with a cluster is
``ray_cluster``'s.
"""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """How to reach a cluster: ``address`` is ``host:port``, or ``ray://host:port``.

    The files hold the cluster's token, the certificate authority, and this machine's certificate
    and key, as Ray wants them (docs/outgrowing-one-machine.md).
    """

    address: str
    token_file: str
    ca: str
    certificate: str
    key: str

    @property
    def cluster(self) -> str:
        """What policy calls it."""
        return self.address.partition("://")[2] or self.address

    def environment(self) -> dict[str, str]:
        """What Ray is told, whatever the daemon's own environment says."""
        own = {name: text for name, text in os.environ.items() if not name.startswith("RAY_")}
        return {
            **own,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": self.token_file,
            "RAY_USE_TLS": "1",
            "RAY_TLS_CA_CERT": self.ca,
            "RAY_TLS_SERVER_CERT": self.certificate,
            "RAY_TLS_SERVER_KEY": self.key,
            "RAY_USAGE_STATS_ENABLED": "0",
            "ORT_DISABLE_TELEMETRY": "1",
        }
