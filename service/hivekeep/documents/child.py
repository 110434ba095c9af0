"""One document in one process: open, confine, read, report, end.

Responsible for the order of these steps and for turning any failure into a reason; not for any
format.  Invariant: the file is opened before the process gives up its rights, and not one byte of
it is interpreted until afterwards.
"""

from __future__ import annotations

import hashlib
import math
import os
import signal
import socket
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

from hivekeep.documents.cleaning import clean, squeeze
from hivekeep.documents.failures import Reason, display_name, failure, open_failure
from hivekeep.documents.readers import dispatch
from hivekeep.documents.readers.draft import Draft, Source
from hivekeep.documents.readers.drawing import draw_page
from hivekeep.documents.transport import receive_frame_blocking
from hivekeep.documents.wire import (
    Frame,
    Job,
    Pixels,
    Recognized,
    WireError,
    decode_recognized,
    encode_blocks,
    encode_done,
    encode_failure,
    encode_pixels,
)
from hivekeep.domain.documents import Block, Document
from hivekeep.domain.errors import DocumentError
from hivekeep.files import open_file
from hivekeep.sandbox import Confinement, SandboxError, confine, limits, paths

_BATCH_BLOCKS = 200
_BATCH_CHARACTERS = 100_000
_READ_CHUNK = 1 << 20


class Reporter:
    """The child's end of the conversation with the pool."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._blocks: list[Block] = []
        self._characters = 0

    def block(self, block: Block) -> None:
        """Hand on one block; they travel in batches."""
        self._blocks.append(block)
        self._characters += len(block.text)
        if len(self._blocks) >= _BATCH_BLOCKS or self._characters >= _BATCH_CHARACTERS:
            self._flush()

    def done(self, document: Document) -> None:
        """Finish well."""
        self._flush()
        self._connection.sendall(encode_done(document))

    def drawn(self, pixels: Pixels) -> None:
        """Finish with the picture of a page."""
        self._connection.sendall(encode_pixels(pixels, Frame.DRAWN))

    def failed(self, error: DocumentError) -> None:
        """Finish with a reason."""
        self._connection.sendall(encode_failure(error))

    def recognize(self, pixels: Pixels) -> Recognized:
        """Have a picture read by the OCR process."""
        self._connection.sendall(encode_pixels(pixels))
        kind, payload = receive_frame_blocking(self._connection)
        if kind is not Frame.RECOGNIZED:
            raise WireError("unexpected frame")
        return decode_recognized(payload)

    def _flush(self) -> None:
        if self._blocks:
            self._connection.sendall(encode_blocks(self._blocks))
        self._blocks.clear()
        self._characters = 0


def serve(job: Job, connection: socket.socket, host: int, required: tuple[str, ...] = ()) -> None:
    """Read the document of ``job`` and report over ``connection``; ``host`` is the parent.

    :param required: protections without which the document must not be read.
    """
    limits.die_with_parent(host)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    keep = Confinement(
        read=paths.worker(),
        memory=job.limits.max_memory,
        cpu_seconds=math.ceil(job.limits.seconds) + 2,
    )
    limits.limit_resources(keep)
    reporter = Reporter(connection)
    name = display_name(Path(job.path).name)
    try:
        work = _draw if job.page else _read
        finish = work(job, name, reporter, partial(_confine, keep, required))
    except DocumentError as error:
        reporter.failed(error)
    except SandboxError as error:
        reporter.failed(failure(name, Reason.UNCONFINED, why=f"{error.what} {error.why}"))
    except MemoryError:
        reporter.failed(failure(name, Reason.MEMORY))
    except RecursionError:
        reporter.failed(failure(name, Reason.DAMAGED, why="It is nested far too deeply."))
    except Exception as error:  # noqa: BLE001 - whatever a parser does with hostile bytes
        said = squeeze(clean(f"{type(error).__name__}: {error}").text)[:200]
        reporter.failed(failure(name, Reason.DAMAGED, why=f"Its reader says: {said}"))
    else:
        finish()


def _confine(keep: Confinement, required: tuple[str, ...]) -> None:
    confine(keep, required=required)
    limits.forbid_side_effects()
    warnings.simplefilter("ignore")


def _draw(
    job: Job, name: str, reporter: Reporter, confined: Callable[[], None]
) -> Callable[[], None]:
    data, _ = _load_checked(job, name)
    confined()
    source = Source(name, data, Path(job.path).suffix.lower())
    return partial(reporter.drawn, draw_page(source, job.page))


def _load_checked(job: Job, name: str) -> tuple[bytes, str]:
    """The file's bytes and their hash, if they are what was found at first."""
    data = _load(job, name)
    digest = hashlib.sha256(data).hexdigest()
    if job.expected_sha256 and digest != job.expected_sha256:
        raise failure(name, Reason.CHANGED, why="Its content is not what was found at first.")
    return data, digest


def _read(
    job: Job, name: str, reporter: Reporter, confined: Callable[[], None]
) -> Callable[[], None]:
    data, digest = _load_checked(job, name)
    confined()
    draft = Draft(name, job.limits, reporter.recognize, reporter.block)
    dispatch.read(draft, Source(name, data, Path(job.path).suffix.lower()))
    if not draft.blocks:
        raise failure(name, Reason.NO_TEXT, why=" ".join(draft.notes[:3]))
    document = Document(
        name=name,
        media_type=draft.media_type,
        sha256=digest,
        size=len(data),
        pages=max(draft.pages, 1),
        blocks=(),
        notes=draft.notes,
        metadata=draft.metadata,
    )
    return partial(reporter.done, document)


def _load(job: Job, name: str) -> bytes:
    """The whole file, if it is a regular one of allowed size that does not change meanwhile.

    The path was resolved before policy judged it: what has become a link since is not followed.
    """
    try:
        descriptor = open_file(job.path)
        with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor
            before = os.fstat(descriptor)
            if before.st_size == 0:
                raise failure(name, Reason.EMPTY)
            if before.st_size > job.limits.max_file_size:
                allowed = job.limits.max_file_size // 1024**2
                raise failure(name, Reason.TOO_LARGE, why=f"More than {allowed:,} MB.")
            data = bytearray()
            while chunk := file.read(_READ_CHUNK):
                data += chunk
                if len(data) > before.st_size:
                    break
            after = os.fstat(descriptor)
    except OSError as error:
        raise open_failure(name, error) from error
    if len(data) != before.st_size or after.st_mtime_ns != before.st_mtime_ns:
        raise failure(name, Reason.CHANGED, why="It was written to while it was read.")
    return bytes(data)
