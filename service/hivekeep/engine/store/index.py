"""Finding a wheel through a package index's simple API.

Responsible for reading index pages, JSON (PEP 691) or HTML (PEP 503); it downloads no wheel.
Invariant: a wheel is named with the SHA-256 that the index states for it, where it states one.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from hivekeep.domain.errors import ModelStoreError
from hivekeep.engine.store.http import Fetcher, host_of

ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.1"
_DEFAULT_INDEX = "https://pypi.org/simple"
_SHA256 = re.compile(r"^[0-9a-f]{64}$")


@dataclass(frozen=True, slots=True)
class Wheel:
    """Where a wheel lies; ``sha256`` is empty where the index states none."""

    filename: str
    url: str
    sha256: str


def index_url(environment: Mapping[str, str] = os.environ) -> str:
    """The index that the user's other tools use, else PyPI."""
    chosen = environment.get("UV_DEFAULT_INDEX") or environment.get("PIP_INDEX_URL")
    # uv allows 'name=https://…'.
    return re.sub(r"^[\w.-]+=(?=https?:)", "", (chosen or _DEFAULT_INDEX).strip()).rstrip("/")


def find_wheel(fetcher: Fetcher, index: str, package: str, version: str) -> Wheel:
    """The wheel of ``package`` in exactly this version.

    :raises ModelStoreError: if the index cannot be read or has no such wheel.
    """
    name = _normal(package)
    kind, text, base = fetcher.page(f"{index}/{name}/", ACCEPT)
    found = _from_json(text) if "json" in kind else _from_html(text)
    for filename, href, sha256 in found:
        parts = filename.removesuffix(".whl").split("-")
        if not filename.endswith(".whl") or len(parts) not in (5, 6):
            continue
        if _normal(parts[0]) == name and parts[1] == version:
            url = _with_credentials(urljoin(base, href), index)
            return Wheel(filename, url, sha256 if _SHA256.match(sha256) else "")
    raise ModelStoreError(
        f"{host_of(index)} has no wheel of {name} {version}.",
        why="The index lists other files only.",
    )


def _from_json(text: str) -> Iterator[tuple[str, str, str]]:
    try:
        page: Any = json.loads(text)
        for file in page["files"]:
            yield str(file["filename"]), str(file["url"]), str(file["hashes"].get("sha256", ""))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelStoreError(
            "The package index's answer cannot be understood.", why="It is not the simple API."
        ) from error


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get("href")
        if tag == "a" and href:
            self.hrefs.append(href)


def _from_html(text: str) -> Iterator[tuple[str, str, str]]:
    parser = _Anchors()
    parser.feed(text)
    for href in parser.hrefs:
        address, _, fragment = href.partition("#")
        filename = unquote(address.partition("?")[0].rpartition("/")[2])
        yield filename, address, fragment.removeprefix("sha256=")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _with_credentials(url: str, index: str) -> str:
    """An index that needs a login hands out files on the same host without repeating it."""
    login, at, _ = urlsplit(index).netloc.rpartition("@")
    parts = urlsplit(url)
    if at and "@" not in parts.netloc and parts.hostname == urlsplit(index).hostname:
        return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc}"))
    return url
