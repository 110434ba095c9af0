"""The OS keyring through ``keyring``, in a process that can be given up on.

Responsible for turning the keyring's many ways to fail into one: ``KeyringUnavailable`` with a
reason.  A keyring may wait for ever on a prompt nobody sees, so every call runs in a child process
with a time limit; that also keeps D-Bus libraries out of the daemon's memory.  Secrets travel over
the child's pipes, never its arguments.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from typing import Any

_TIMEOUT = 20.0
# Backends that would keep secrets in the clear, or nowhere.
_REFUSED = ("keyrings.alt", "keyring.backends.fail", "keyring.backends.null")

_CHILD = """
import json, sys
request = json.load(sys.stdin)
try:
    import keyring
    backend = keyring.get_keyring()
    name = type(backend).__module__
    if name.startswith("keyring.backends.chainer"):
        refused = tuple(request["refused"])
        usable = [b for b in backend.backends if not type(b).__module__.startswith(refused)]
        if not usable:
            raise RuntimeError("no keyring backend of this system keeps secrets encrypted")
        backend = usable[0]
        name = type(backend).__module__
    if name.startswith(tuple(request["refused"])):
        raise RuntimeError("no usable keyring backend (found " + name + ")")
    verb, service, user = request["verb"], request["service"], request["user"]
    value = None
    if verb == "get":
        value = backend.get_password(service, user)
    elif verb == "put":
        backend.set_password(service, user, request["value"])
    elif verb == "delete":
        if backend.get_password(service, user) is not None:
            backend.delete_password(service, user)
    json.dump({"ok": True, "value": value, "backend": name}, sys.stdout)
except Exception as error:
    json.dump({"ok": False, "why": type(error).__name__ + ": " + str(error)}, sys.stdout)
"""


class KeyringUnavailableError(Exception):
    """The keyring cannot be used now; the message says why."""


class OsKeyring:
    """The OS keyring as a key store for one profile.

    :raises KeyringUnavailableError: from the constructor, if it cannot keep a secret.
    """

    def __init__(self, profile_id: str) -> None:
        self._service = f"hivekeep-{profile_id}"
        self._backend = ""
        # A keyring that answers reads may still refuse writes (locked): try both now.
        self.put("probe", b"probe")
        if self.get("probe") != b"probe":
            raise KeyringUnavailableError("it did not give back what was stored")
        self.delete("probe")

    def get(self, name: str) -> bytes | None:
        """The secret called ``name``."""
        value = self._call("get", name)["value"]
        return base64.b64decode(value) if value is not None else None

    def put(self, name: str, value: bytes) -> None:
        """Keep a secret."""
        self._call("put", name, value=base64.b64encode(value).decode())

    def delete(self, name: str) -> None:
        """Forget a secret."""
        self._call("delete", name)

    def describe(self) -> str:
        """The backend, for a person."""
        return f"OS keyring ({self._backend})"

    def _call(self, verb: str, name: str, **extra: Any) -> dict[str, Any]:
        request = {
            "verb": verb, "service": self._service, "user": name, "refused": _REFUSED, **extra
        }  # fmt: skip
        try:
            finished = subprocess.run(  # noqa: S603 - our own interpreter and code
                [sys.executable, "-c", _CHILD],
                input=json.dumps(request),
                capture_output=True,
                text=True,
                timeout=_TIMEOUT,
                check=False,
            )
            reply: dict[str, Any] = json.loads(finished.stdout)
        except subprocess.TimeoutExpired as error:
            raise KeyringUnavailableError(
                f"it did not answer within {_TIMEOUT:.0f} s (a prompt may be open somewhere)"
            ) from error
        except ValueError as error:
            raise KeyringUnavailableError("its helper process failed") from error
        if not reply["ok"]:
            raise KeyringUnavailableError(reply["why"])
        self._backend = reply["backend"]
        return reply
