"""The header of a GGUF file: what a model is, read without loading it.

Responsible for metadata and tensor sizes only; weights are never touched.  Invariant: a damaged or
hostile file costs a ``ModelStoreError``, never a crash or unbounded memory.  The format is that of
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from hivekeep.domain.errors import ModelStoreError

_SCALARS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q",
    12: "<d",
}  # fmt: skip
_STRING, _ARRAY = 8, 9
_LONGEST_KEPT = 256
_MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor: ``kind`` is ggml's number of its quantisation, ``size`` is bytes in the file."""

    name: str
    kind: int
    size: int
    elements: int


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """Metadata by key and the tensors; of a long array only its length is kept, as ``len:KEY``."""

    metadata: dict[str, Any]
    tensors: tuple[Tensor, ...]


class _Cursor:
    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.at = 0

    def scalar(self, form: str) -> Any:
        value = struct.unpack_from(form, self.data, self.at)[0]
        self.at += struct.calcsize(form)
        return value

    def text(self) -> str:
        size = self.scalar("<Q")
        raw = self.data[self.at : self.at + min(size, _MOST)]
        self.at += size
        return raw.decode("utf-8", "replace")

    def skip_text(self) -> None:
        self.at += 8 + struct.unpack_from("<Q", self.data, self.at)[0]


def read_header(path: Path) -> GgufHeader:
    """The header of the GGUF file at ``path``.

    :raises ModelStoreError: if it cannot be read or is not a GGUF file.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _parse(_Cursor(data), len(data))
    except (OSError, ValueError, struct.error, KeyError, OverflowError) as error:
        raise ModelStoreError(
            f"'{path.name}' is not a model that can be used.",
            why=f"It is not a readable GGUF file: {error}.",
            next_step=f"hivekeep models verify {path.stem}",
        ) from error


def _parse(cursor: _Cursor, length: int) -> GgufHeader:
    if cursor.data[:4] != b"GGUF":
        raise ValueError("it does not begin with 'GGUF'")
    cursor.at = 4
    version, tensors, pairs = cursor.scalar("<I"), cursor.scalar("<Q"), cursor.scalar("<Q")
    if version not in (2, 3):
        raise ValueError(f"its version {version} is not known")
    if tensors > _MOST or pairs > _MOST:
        raise ValueError("its counts are absurd")
    metadata: dict[str, Any] = {}
    for _ in range(pairs):
        key = cursor.text()
        kind = cursor.scalar("<I")
        metadata[key] = _value(cursor, kind, key, metadata)
    return GgufHeader(metadata, _tensors(cursor, tensors, metadata, length))


def _value(cursor: _Cursor, kind: int, key: str, metadata: dict[str, Any]) -> Any:
    if kind == _STRING:
        return cursor.text()
    if kind != _ARRAY:
        return cursor.scalar(_SCALARS[kind])
    item, count = cursor.scalar("<I"), cursor.scalar("<Q")
    metadata[f"len:{key}"] = count
    if count > len(cursor.data):
        raise ValueError("an array is longer than the file")
    if item != _STRING and count > _LONGEST_KEPT:
        cursor.at += count * struct.calcsize(_SCALARS[item])
        return None
    read: Callable[[], Any] = cursor.text
    if item != _STRING:
        read = lambda: cursor.scalar(_SCALARS[item])  # noqa: E731
    elif count > _LONGEST_KEPT:
        for _ in range(count):
            cursor.skip_text()
        return None
    return [read() for _ in range(count)]


def _tensors(
    cursor: _Cursor, count: int, metadata: dict[str, Any], length: int
) -> tuple[Tensor, ...]:
    found: list[tuple[str, int, int, int]] = []
    for _ in range(count):
        name = cursor.text()
        dimensions = cursor.scalar("<I")
        if dimensions > 8:
            raise ValueError("a tensor has too many dimensions")
        elements = math.prod(cursor.scalar("<Q") for _ in range(dimensions))
        kind, offset = cursor.scalar("<I"), cursor.scalar("<Q")
        found.append((name, kind, offset, elements))
    alignment = int(metadata.get("general.alignment") or 32)
    begin = -(-cursor.at // alignment) * alignment
    # Tensors lie one after another, so that the next one's offset gives the size.
    ends = sorted({offset for _, _, offset, _ in found} | {max(length - begin, 0)})
    following = dict(pairwise(ends))
    return tuple(
        Tensor(name, kind, following.get(offset, offset) - offset, elements)
        for name, kind, offset, elements in found
    )
