"""The types of single values in a policy, with the checks that make a rule mean something.

Responsible for refusing a value that could never match anything, since a denial that matches
nothing would be no denial.  Invariant: what passes is in the form that deciding compares with.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from hivekeep.policy.addresses import origin_of
from hivekeep.policy.types import suffixes_of
from hivekeep.policy.windows_paths import is_windows, windows_components

_HOST = r"(\*\.)?[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?|[0-9A-Fa-f:]*:[0-9A-Fa-f:]*"
_CLUSTER = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]):[0-9]{1,5}")
_RECIPIENT = re.compile(r"[^@\s]*@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_PROGRAM = re.compile(r"/[^\0]+|[A-Za-z]:\\[^\0]+")
_TIMES = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]")


def _folder(text: str) -> str:
    if is_windows(text):
        if windows_components(text) is None:
            raise ValueError(
                "a folder on Windows is a drive's or a share's, as 'C:\\Data' or "
                "'\\\\server\\share', without '.', '..', streams, devices or short names"
            )
        return text
    parts = text.split("/")
    if not (text.startswith(("/", "~/")) or text == "~") or "\0" in text:
        raise ValueError("a folder is an absolute path, or starts with '~/'")
    if ".." in parts or "." in parts:
        raise ValueError("a folder may not contain '.' or '..'")
    return text


def _file_type(text: str) -> str:
    suffixes_of(text)
    return text


def _host(text: str) -> str:
    if not re.fullmatch(_HOST, text):
        raise ValueError("a host is a name, '*.domain' or an address, without port or path")
    return text


def _endpoint(text: str) -> str:
    origin = origin_of(text)
    if origin is None or text.rstrip("/").count("/") != 2 or "?" in text or "#" in text:
        raise ValueError("an endpoint is 'https://host' or 'https://host:port', without a path")
    return origin


def _cluster(text: str) -> str:
    if not _CLUSTER.fullmatch(text):
        raise ValueError("a cluster is 'host:port'")
    return text.lower()


def _recipient(text: str) -> str:
    if not _RECIPIENT.fullmatch(text):
        raise ValueError("a recipient is 'name@example.com', or '@example.com' for all of a domain")
    return text.lower()


def _program(text: str) -> str:
    parts = re.split(r"[/\\]", text)
    if not _PROGRAM.fullmatch(text) or ".." in parts or "." in parts:
        raise ValueError("a command is the absolute path of a program, as '/usr/bin/pdftotext'")
    return text


def _package(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", text):
        raise ValueError("a package is the name that Python code imports it by")
    return text


def _times(text: str) -> str:
    if not _TIMES.fullmatch(text):
        raise ValueError("hours are 'HH:MM-HH:MM'; '22:00-06:00' goes over midnight")
    begin, _, end = text.partition("-")
    if begin == end:
        raise ValueError("hours that begin when they end say nothing; for all day write two ranges")
    return text


def _sink(text: str) -> str:
    if not re.fullmatch(r"(syslog\+(udp|tcp|tls)|otlp\+https?)://[^/@\s?#]+(/[^\s?#]*)?", text):
        raise ValueError(
            "a sink is 'syslog+tls://HOST:PORT' (udp, tcp) or 'otlp+https://HOST:PORT'"
        )
    return text


def _witness(text: str) -> str:
    if not re.fullmatch(
        r"file:///\S+|(https?|syslog\+(udp|tcp|tls))://[^/@\s?#]+(/[^\s?#]*)?", text
    ):
        raise ValueError("a witness is 'file:///FOLDER', 'https://HOST/…' or 'syslog+tls://HOST'")
    return text


Folder = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_folder)]
FileType = Annotated[str, Field(min_length=2, max_length=100), AfterValidator(_file_type)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Host = Annotated[str, Field(min_length=1, max_length=253), AfterValidator(_host)]
Endpoint = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(_endpoint)]
Cluster = Annotated[str, Field(min_length=3, max_length=300), AfterValidator(_cluster)]
Recipient = Annotated[str, Field(min_length=3, max_length=320), AfterValidator(_recipient)]
Program = Annotated[str, Field(min_length=2, max_length=4096), AfterValidator(_program)]
Package = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_package)]
Times = Annotated[str, Field(min_length=11, max_length=11), AfterValidator(_times)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
PublicKey = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Sink = Annotated[str, Field(min_length=8, max_length=300), AfterValidator(_sink)]
Witness = Annotated[str, Field(min_length=8, max_length=1000), AfterValidator(_witness)]
Text = Annotated[str, Field(min_length=1, max_length=300)]
Ask = Literal["deny", "ask", "allow"]
RiskName = Literal["low", "medium", "high", "critical"]
BrowserVerb = Literal[
    "read", "scroll", "screenshot", "navigate", "click", "type", "select", "submit", "download",
    "upload",
]  # fmt: skip
