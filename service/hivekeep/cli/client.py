"""Talks to the daemon's local API, and starts the daemon when it is not running.

Responsible for the connection only.  Errors the daemon reports are raised again here as what they
were, so that a command behaves the same whether it asked the daemon or did the work itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from hivekeep.daemon.profile import Profile
from hivekeep.domain.errors import DaemonError, HivekeepError

_START_TIMEOUT = 60.0
_TIMEOUT = 120.0


class ReportedError(HivekeepError):
    """An error as the daemon reported it."""

    def __init__(self, data: dict[str, str], exit_status: int) -> None:
        super().__init__(
            data.get("what", "The daemon refused."),
            why=data.get("why", ""),
            next_step=data.get("next", ""),
        )
        self._data = data
        self.exit_status = exit_status  # type: ignore[misc]

    def as_dict(self) -> dict[str, str]:
        return self._data


class DaemonClient:
    """A connection to the daemon of one profile."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        transport = httpx.HTTPTransport(uds=str(profile.socket))
        # The base URL's host is never looked up: the transport goes to the socket.
        self._http = httpx.Client(
            transport=transport, base_url="http://hivekeep", timeout=_TIMEOUT, trust_env=False
        )

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """``GET`` a resource."""
        return self._call("GET", path, params=query)

    def post(
        self, path: str, body: dict[str, Any] | None = None, *, timeout: float = _TIMEOUT
    ) -> dict[str, Any]:
        """``POST`` to a resource, and wait for the answer as long as that may take."""
        return self._call("POST", path, json=body, timeout=timeout)

    def delete(self, path: str) -> dict[str, Any]:
        """``DELETE`` a resource."""
        return self._call("DELETE", path)

    def running(self) -> bool:
        """Whether the daemon answers."""
        try:
            self._http.get("/v1/status", timeout=5.0)
        except httpx.HTTPError:
            return False
        return True

    def follow(self, run: str) -> Iterator[dict[str, Any]]:
        """The run's progress views until it has ended.

        :raises DaemonError: if the connection breaks before that.
        """
        try:
            with self._http.stream("GET", f"/v1/runs/{run}/stream", timeout=60.0) as response:
                if response.status_code != httpx.codes.OK:
                    response.read()
                    _raise_reported(response)
                for line in response.iter_lines():
                    if line.startswith("data: "):
                        yield json.loads(line[6:])
        except httpx.HTTPError as error:
            raise _unreachable(self.profile, error) from error

    def _call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise _unreachable(self.profile, error) from error
        if response.is_error:
            _raise_reported(response)
        data: dict[str, Any] = response.json()
        return data


def connect(profile: Profile, *, start: bool = True) -> DaemonClient:
    """A client of the running daemon, which is started first if ``start`` allows it.

    :raises DaemonError: if it is not running and could not be started.
    """
    client = DaemonClient(profile)
    if client.running():
        return client
    if not start:
        raise DaemonError(
            "The daemon is not running.",
            why=f"Nothing answers at {profile.socket}.",
            next_step="Start it with 'hivekeep daemon start'.",
        )
    spawn_daemon(profile)
    return client


def spawn_daemon(profile: Profile, *, passphrase: str | None = None) -> subprocess.Popen[bytes]:
    """Start the daemon in the background and wait until it answers.

    :param passphrase: unlocks the key file; handed over through a pipe, never argv or environment.
    :raises DaemonError: if it does not come up, with the last lines of its log.
    """
    profile.create()
    log = profile.logs / "daemon.log"
    offset = log.stat().st_size if log.exists() else 0
    command = [sys.executable, "-m", "hivekeep.daemon", "--profile", str(profile.root)]
    read_end = write_end = -1
    if passphrase is not None:
        read_end, write_end = os.pipe()
        command += ["--passphrase-fd", str(read_end)]
    with log.open("ab") as sink:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
            pass_fds=(read_end,) if passphrase is not None else (),
        )
    if passphrase is not None:
        os.close(read_end)
        os.write(write_end, passphrase.encode())
        os.close(write_end)
    _wait_until_up(DaemonClient(profile), process, log, offset)
    return process


def _wait_until_up(
    client: DaemonClient, process: subprocess.Popen[bytes], log: Path, offset: int
) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    while not client.running():
        if process.poll() is not None or time.monotonic() > deadline:
            with log.open("rb") as file:
                file.seek(offset)
                said = file.read()[-2000:].decode(errors="replace").strip()
            raise DaemonError(
                "The daemon did not start.",
                why=said or f"It said nothing within {_START_TIMEOUT:.0f} s.",
                next_step="Try 'hivekeep daemon run' in a terminal, or 'hivekeep doctor'.",
            )
        time.sleep(0.05)


def _raise_reported(response: httpx.Response) -> None:
    try:
        body = response.json()
        raise ReportedError(body["error"], int(body.get("exit", 1)))
    except (ValueError, KeyError, TypeError) as error:
        raise DaemonError(
            "The daemon failed to answer.",
            why=f"HTTP {response.status_code}.",
            next_step="Its log is in the profile's logs folder.",
        ) from error


def _unreachable(profile: Profile, error: Exception) -> DaemonError:
    return DaemonError(
        "The daemon does not answer.",
        why=f"{profile.socket}: {error}.",
        next_step="'hivekeep daemon start' starts it; runs under way go on by themselves.",
    )
