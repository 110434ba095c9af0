"""Downloads that ask before they connect and go on where they broke off.

Responsible for talking HTTP to sources of models; what the bytes mean is decided elsewhere.
Invariant: no connection to a host, redirects included, before the permit was asked for that host.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin

import httpx

from hivekeep.domain.errors import ModelStoreError
from hivekeep.engine.store.permit import Permit

_CHUNK = 256 * 1024
_MAX_REDIRECTS = 8
_MAX_PAGE = 16 * 1024**2
_TRIES_WITHOUT_PROGRESS = 4
_MAX_TRIES = 40
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)$")


def default_client() -> httpx.Client:
    """A client with patient timeouts; redirects are followed by us, one permit at a time."""
    return httpx.Client(timeout=httpx.Timeout(60, connect=20), follow_redirects=False)


class _BrokenOffError(Exception):
    """The transfer ended early and may be tried again from where it stopped."""


@dataclass(frozen=True)
class Fetcher:
    """One session of requests; ``client`` stays open for all of them."""

    client: httpx.Client
    permit: Permit
    sleep: Callable[[float], None]
    _permitted: set[str] = field(default_factory=set)

    def page(self, url: str, accept: str) -> tuple[str, str, str]:
        """A small text resource: its content type, its text, and its URL after redirects.

        :raises ModelStoreError: if it cannot be had.
        :raises PolicyDeniedError: if the host is not permitted.
        """
        for attempt in range(_TRIES_WITHOUT_PROGRESS):
            if attempt:
                self.sleep(0.5 * 2**attempt)
            try:
                with self._open(url, {"Accept": accept}) as reply:
                    _refuse_errors(reply)
                    body = bytearray()
                    for chunk in reply.iter_bytes(_CHUNK):
                        body += chunk
                        if len(body) > _MAX_PAGE:
                            raise ModelStoreError(
                                f"{reply.url.host} answered with far too much.",
                                why="The page is larger than 16 MB.",
                            )
                    kind = reply.headers.get("content-type", "")
                    return kind, body.decode("utf-8", "replace"), str(reply.url)
            except (_BrokenOffError, httpx.TransportError):
                continue
            except httpx.HTTPError as error:
                raise ModelStoreError(
                    f"{host_of(url)} sent an answer that cannot be read."
                ) from error
        raise _unreachable(url)

    def download(
        self, url: str, target: Path, *, limit: int, progress: Callable[[int], None]
    ) -> int:
        """Fetch ``url`` into ``target``, continuing what is already there; the final size.

        ``progress`` gets the bytes in ``target``.  A transfer that breaks off is taken up again
        by a range request for as long as there is progress.

        :raises ModelStoreError: if it cannot be had or is longer than ``limit`` bytes.
        :raises PolicyDeniedError: if a host is not permitted.
        """
        idle = 0
        for _ in range(_MAX_TRIES):
            before = _length(target)
            try:
                self._transfer(url, target, before, limit, progress)
                return _length(target)
            except _BrokenOffError:
                idle = 0 if _length(target) > before else idle + 1
                if idle >= _TRIES_WITHOUT_PROGRESS:
                    break
                if idle:
                    self.sleep(0.5 * 2**idle)
        raise _unreachable(url)

    def _transfer(
        self, url: str, target: Path, have: int, limit: int, progress: Callable[[int], None]
    ) -> None:
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        with self._open(url, headers) as reply:
            if have and reply.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                if reply.headers.get("content-range", "").rpartition("/")[2] == str(have):
                    return
                target.unlink(missing_ok=True)
                raise _BrokenOffError
            _refuse_errors(reply)
            start, total = _extent(reply)
            if start != have:
                if start:
                    raise ModelStoreError(f"{reply.url.host} answered with the wrong range.")
                have = 0
            if total is not None and total > limit:
                raise _too_long(reply.url.host, limit)
            with target.open("r+b" if have else "wb") as sink:
                sink.seek(have)
                try:
                    # Without a chunk size: pieces that wait to be joined are lost by a cut.
                    for chunk in reply.iter_raw():
                        have += len(chunk)
                        if have > limit:
                            raise _too_long(reply.url.host, limit)
                        sink.write(chunk)
                        progress(have)
                except httpx.TransportError as error:
                    raise _BrokenOffError from error
            if total is not None and have < total:
                raise _BrokenOffError

    @contextmanager
    def _open(self, url: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        for _ in range(_MAX_REDIRECTS):
            self._ask(url)
            try:
                request = self.client.build_request("GET", url, headers=headers)
                reply = self.client.send(request, stream=True, follow_redirects=False)
            except httpx.TransportError as error:
                raise _BrokenOffError from error
            try:
                if not reply.has_redirect_location:
                    yield reply
                    return
                url = urljoin(str(reply.url), reply.headers["location"])
            finally:
                reply.close()
        raise ModelStoreError("A download was redirected too often.", why=f"Last: {host_of(url)}.")

    def _ask(self, url: str) -> None:
        host = host_of(url)
        if host not in self._permitted:
            self.permit(host)
            self._permitted.add(host)


def host_of(url: str) -> str:
    """The host of a URL; the rest of it may hold credentials and is never shown.

    :raises ModelStoreError: if it is not an http(s) URL with a host.
    """
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as error:
        raise ModelStoreError("A source's address is not a URL.") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ModelStoreError(
            "A source's address cannot be used.", why="Only http and https addresses can."
        )
    return parsed.host


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _extent(reply: httpx.Response) -> tuple[int, int | None]:
    """Where the reply starts and how long the whole resource is, as far as it says."""
    if reply.status_code == httpx.codes.PARTIAL_CONTENT:
        match = _RANGE.match(reply.headers.get("content-range", ""))
        if match is None:
            raise ModelStoreError(f"{reply.url.host} answered with a range that makes no sense.")
        return int(match[1]), None if match[3] == "*" else int(match[3])
    length = reply.headers.get("content-length", "")
    return 0, int(length) if length.isdigit() else None


def _refuse_errors(reply: httpx.Response) -> None:
    status = reply.status_code
    if status in (408, 425, 429) or status >= 500:
        raise _BrokenOffError
    if not reply.is_success:
        raise ModelStoreError(
            f"{reply.url.host} does not hand out the file.",
            why=f"It answered {status} {reply.reason_phrase}.",
        )


def _too_long(host: str, limit: int) -> ModelStoreError:
    return ModelStoreError(
        f"The file from {host} is refused.", why=f"It is longer than the {limit} bytes expected."
    )


def _unreachable(url: str) -> ModelStoreError:
    return ModelStoreError(
        f"The download from {host_of(url)} broke off.",
        why="The server could not be reached or kept closing the connection.",
        next_step="Run the same command again; it goes on where it stopped.",
    )
