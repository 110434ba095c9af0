"""Connections to remote servers: TLS, keys, and the lines of an event stream.

Responsible for the bytes and for what an HTTP status means.  Invariants: redirects are not
followed, the environment's proxies are not used, and a server's key goes to that server only.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

import httpx

from hivekeep.domain.errors import EngineError
from hivekeep.engine.remote.chat import message_of
from hivekeep.engine.remote.models import RemoteModel
from hivekeep.engine.remote.retry import PASSING, PassingError

_CONNECT_SECONDS = 15.0
_MOST_SAID = 65_536


class Connections:
    """Kept-alive connections, by server."""

    def __init__(self) -> None:
        self._clients: dict[tuple[str, str], httpx.AsyncClient] = {}

    async def events(
        self, remote: RemoteModel, body: dict[str, Any], key: str | None
    ) -> AsyncIterator[str]:
        """Ask for a chat completion; the data of each event of the answer.

        :raises PassingError: if it may work at the next try.
        :raises EngineError: if it will not.
        """
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        url = f"{remote.url}/chat/completions"
        try:
            async with self._client(remote).stream(
                "POST", url, json=body, headers=headers
            ) as response:
                if response.status_code != httpx.codes.OK:
                    await _refused(remote, response)
                async for line in response.aiter_lines():
                    data = line[5:].strip() if line.startswith("data:") else ""
                    if data == "[DONE]":
                        return
                    if data:
                        yield data
        except httpx.TransportError as error:
            if _is_certificate(error):
                raise EngineError(
                    f"{remote.host} could not prove who it is.",
                    why=f"{error}.",
                    next_step="--ca-file names the certificates of your company's authority.",
                ) from error
            raise PassingError(str(error) or type(error).__name__) from error

    async def close(self) -> None:
        """Close them all."""
        for client in self._clients.values():
            await client.aclose()

    def _client(self, remote: RemoteModel) -> httpx.AsyncClient:
        key = (remote.address, remote.ca_file)
        client = self._clients.get(key)
        if client is None:
            client = self._clients[key] = httpx.AsyncClient(
                verify=_trust(remote.ca_file),
                # The environment's proxies would see everything; policy names the one host.
                trust_env=False,
                follow_redirects=False,
                timeout=httpx.Timeout(remote.silence_seconds, connect=_CONNECT_SECONDS, pool=None),
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            )
        return client


def _trust(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            raise EngineError(
                f"The certificates in '{ca_file}' cannot be used.",
                why=f"{error}.",
                next_step="It has to be a file of PEM certificates.",
            ) from error
    return context


def _is_certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


async def _refused(remote: RemoteModel, response: httpx.Response) -> None:
    """The server did not answer with a stream: say why, or that it may pass."""
    said = await _said(response)
    status = response.status_code
    if status in PASSING:
        headers = {name.lower(): value for name, value in response.headers.items()}
        raise PassingError(f"HTTP {status}: {said}", headers)
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise EngineError(
            f"{remote.host} refused the key for '{remote.name}'.",
            why=f"HTTP {status}: {said}.",
            next_step="'hivekeep models remote add' with --key sets another.",
        )
    raise EngineError(
        f"{remote.host} refused the request.",
        why=f"HTTP {status}: {said}.",
        next_step=f"hivekeep models remote test {remote.name}",
    )


async def _said(response: httpx.Response) -> str:
    data = b""
    async for chunk in response.aiter_bytes():
        data += chunk
        if len(data) > _MOST_SAID:
            break
    try:
        return message_of(json.loads(data))
    except (ValueError, RecursionError):
        return message_of(data[:300].decode("utf-8", "replace"))
