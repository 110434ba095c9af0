"""One pool of reader processes for all tests of this folder, driven from outside its event loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from hivekeep.documents import ReaderPool
from hivekeep.domain.documents import Document, ReadLimits
from hivekeep.domain.errors import DocumentError


@dataclass(frozen=True)
class Reader:
    """Reads a file and waits for it."""

    portal: BlockingPortal
    pool: ReaderPool

    def __call__(self, path: Path, *, expected_sha256: str = "") -> Document:
        async def read() -> Document:
            return await self.pool.read(path, expected_sha256=expected_sha256)

        return self.portal.call(read)

    def failure(self, path: Path, *, expected_sha256: str = "") -> DocumentError:
        """The error that reading ends with."""
        with pytest.raises(DocumentError) as caught:
            self(path, expected_sha256=expected_sha256)
        return caught.value


MakeReader = Callable[..., Reader]


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture(scope="session")
def reader(portal: BlockingPortal) -> Iterator[Reader]:
    """The usual limits, with OCR."""
    pool = ReaderPool(ReadLimits(seconds=100))
    yield Reader(portal, pool)
    portal.call(pool.aclose)


@pytest.fixture
def make_reader(portal: BlockingPortal) -> Iterator[MakeReader]:
    """A pool of its own, with these limits; closed after the test."""
    pools: list[ReaderPool] = []

    def make(workers: int = 2, idle_seconds: float = 60.0, **limits: float) -> Reader:
        pool = ReaderPool(
            ReadLimits(**limits),  # type: ignore[arg-type]
            workers,
            idle_seconds=idle_seconds,
        )
        pools.append(pool)
        return Reader(portal, pool)

    yield make
    for pool in pools:
        portal.call(pool.aclose)


def texts(document: Document) -> list[str]:
    """The text of every block."""
    return [block.text for block in document.blocks]
