"""What runs on a cluster's nodes: read a document's bytes, check an answer.

Responsible for plain data in and out, errors included, so that nodes need nothing from home but the
same version of Hivekeep.  A document exists on a node only while it is read, in a folder that only
this user may enter.  The parser is confined there as it is at home.
"""

from __future__ import annotations

import hashlib
import platform
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal

from hivekeep import __version__
from hivekeep.documents import ReaderPool
from hivekeep.domain.documents import Document, ReadLimits
from hivekeep.domain.errors import DocumentError, HivekeepError
from hivekeep.domain.fields import Plan
from hivekeep.journal import decode, encode
from hivekeep.swarm.answers import Answer
from hivekeep.swarm.executors.local import check_answers


def versions() -> dict[str, Any]:
    """What has to be the same on every node."""
    return {"value": [__version__, ".".join(platform.python_version_tuple()[:2])]}


def read_bytes(name: str, data: bytes) -> dict[str, Any]:
    """The document that ``data`` is, or why it cannot be read."""
    portal, readers, _ = _readers()
    with tempfile.TemporaryDirectory(prefix="hivekeep-") as folder:
        path = Path(folder) / Path(name).name
        path.write_bytes(data)

        async def read() -> Document:
            return await readers.read(path, expected_sha256=hashlib.sha256(data).hexdigest())

        try:
            return {"value": encode(portal.call(read))}
        except HivekeepError as error:
            return failed(error)


def check_answer(
    plan: dict[str, Any],
    document: dict[str, Any],
    answer: dict[str, Any],
    second: dict[str, Any] | None,
) -> dict[str, Any]:
    """The checked values of one document."""
    try:
        result = check_answers(
            decode(Plan, plan),
            decode(Document, document),
            decode(Answer, answer),
            decode(Answer, second) if second else None,
        )
    except HivekeepError as error:
        return failed(error)
    return {"value": encode(result)}


def failed(error: HivekeepError) -> dict[str, Any]:
    """An error as data; ``failure_of`` makes it one again."""
    return {"error": error.as_dict()}


def failure_of(data: dict[str, str]) -> HivekeepError:
    """The error that a task gave back."""
    more = {"why": data.get("why", ""), "next_step": data.get("next", "")}
    if "reason" in data:
        return DocumentError(data["what"], reason=data["reason"], **more)
    return HivekeepError(data["what"], **more)


@cache
def _readers() -> tuple[BlockingPortal, ReaderPool, ExitStack]:
    """One pool for each of Ray's worker processes; it ends its own processes when idle.

    The stack is what keeps the portal's thread; nobody leaves it but the end of the process.
    """
    stack = ExitStack()
    portal = stack.enter_context(start_blocking_portal())
    return portal, portal.call(lambda: ReaderPool(ReadLimits(), workers=1)), stack
