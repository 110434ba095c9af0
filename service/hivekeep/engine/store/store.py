"""The store of models: list, pull, verify, remove.

Responsible for trying sources in order and for putting only genuine files in place; each source's
own way is in ``sources``.  Invariant: a file reaches its final name by one rename, after its
SHA-256 was compared with the catalog's.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import httpx
import psutil

from hivekeep.domain.errors import (
    HivekeepError,
    ModelStoreError,
    NotFoundError,
    PolicyDeniedError,
    UsageError,
)
from hivekeep.engine.store.catalog import (
    SOURCE_KINDS,
    USER_CATALOG,
    FileSource,
    ModelEntry,
    Source,
    load_catalog,
)
from hivekeep.engine.store.http import Fetcher, Permit, default_client, no_network
from hivekeep.engine.store.partial import Partial, exclusive
from hivekeep.engine.store.sources import Supply, environment, extra_space, fill
from hivekeep.engine.store.stamp import is_stamped, remove_stamp, sha256_of, write_stamp

_RESERVE = 64 * 1024**2


class ModelState(StrEnum):
    """Where a model stands on this machine; a file not yet verified counts as partial."""

    INSTALLED = "installed"
    PARTIAL = "partial"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One line of ``ModelStore.list``; ``path`` is where the file is or would be."""

    entry: ModelEntry
    state: ModelState
    path: Path


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pull is, in bytes; ``phase`` says what is being done, for a person."""

    done: int
    total: int
    phase: str


@dataclass(frozen=True, slots=True)
class Verification:
    """The outcome of reading a whole file again; hashes in hex."""

    ok: bool
    actual: str
    expected: str


@dataclass(frozen=True, slots=True)
class Memory:
    """The machine's main memory in bytes."""

    total: int
    available: int


ProgressCallback = Callable[[Progress], None]


def _memory() -> Memory:
    found = psutil.virtual_memory()
    return Memory(int(found.total), int(found.available))


def _free_space(folder: Path) -> int:
    return shutil.disk_usage(folder).free


class ModelStore:
    """Models in ``folder``.

    :param catalog: the known models; by default the built-in ones and ``folder/catalog.yaml``.
    :param permit: asked with the host's name before any connection; by default nothing is allowed.
    :param client: makes the HTTP client of one pull.
    :param memory: tells the machine's memory.
    :param free_space: tells the bytes free where a folder lies.
    :raises ConfigError: if the user's catalog is wrong.
    """

    def __init__(
        self,
        folder: Path,
        *,
        catalog: Mapping[str, ModelEntry] | None = None,
        permit: Permit = no_network,
        client: Callable[[], httpx.Client] = default_client,
        memory: Callable[[], Memory] = _memory,
        free_space: Callable[[Path], int] = _free_space,
    ) -> None:
        self.folder = folder
        self._catalog = load_catalog(folder / USER_CATALOG) if catalog is None else catalog
        self._permit = permit
        self._client = client
        self._memory = memory
        self._free_space = free_space

    def list(self) -> list[ModelStatus]:
        """Every known model with its state."""
        return [
            ModelStatus(entry, self._state(entry), self._path(entry))
            for entry in self._catalog.values()
        ]

    def entry(self, name: str) -> ModelEntry:
        """What the catalog says of ``name``.

        :raises NotFoundError: if it is not known.
        """
        entry = self._catalog.get(name)
        if entry is None:
            raise NotFoundError(
                f"There is no model '{name}'.",
                why=f"Known are: {', '.join(self._catalog)}.",
                next_step="See 'hivekeep models list'.",
            )
        return entry

    def is_installed(self, name: str) -> bool:
        """Whether ``name`` is here and was verified; cheap, reads no weights.

        :raises NotFoundError: if it is not known.
        """
        return self._state(self.entry(name)) is ModelState.INSTALLED

    def resolve(self, name: str) -> Path:
        """The genuine file of ``name``; one that was put here by hand is verified the first time.

        :raises NotFoundError: if it is not known.
        :raises ModelStoreError: if it is not here or not genuine.
        """
        entry = self.entry(name)
        path = self._path(entry)
        if is_stamped(path, entry.sha256):
            return path
        if not path.is_file():
            raise ModelStoreError(
                f"The model {name} is not on this machine.",
                next_step=f"hivekeep models pull {name}",
            )
        if not self._genuine(entry, path, lambda _: None):
            raise ModelStoreError(
                f"The file {path} is not the model {name}.",
                why="Its SHA-256 is not the one in the catalog.",
                next_step=f"hivekeep models remove {name}; hivekeep models pull {name}",
            )
        return path

    def pull(
        self, name: str, *, progress: ProgressCallback | None = None, source: str | None = None
    ) -> Path:
        """Obtain and verify ``name``, going on where an earlier pull broke off.

        :param source: only this kind of source, or ``file:PATH`` for a file of the user's own.
        :raises NotFoundError: if the model is not known.
        :raises UsageError: if the model has no such source.
        :raises ModelStoreError: if every source failed, the disk or the machine is too small, or
            the file is not genuine; such a file is removed.
        :raises PolicyDeniedError: if policy forbids the connections and no other source has it.
        """
        entry = self.entry(name)
        sources = _chosen_sources(entry, source)
        path = self._path(entry)
        tell = _Teller(entry, progress)
        with _disk_errors(self.folder), exclusive(self._lock(entry), name):
            if path.is_file() and not is_stamped(path, entry.sha256):
                tell(0, f"{name}: verifying the file that is here")
                if not self._genuine(entry, path, lambda done: tell(done, f"{name}: verifying")):
                    path.unlink()
            if is_stamped(path, entry.sha256):
                tell(entry.size, f"{name}: ready")
                return path
            partial = Partial(self.folder / f"{name}.partial", entry.size)
            partial.create()
            self._refuse_too_small(entry, sources, partial, tell)
            self._try_sources(entry, sources, partial, tell)
            partial.weights.chmod(0o644)
            partial.weights.replace(path)
            write_stamp(path, entry.sha256)
            partial.clear()
            tell(entry.size, f"{name}: ready")
            return path

    def verify(self, name: str) -> Verification:
        """Read the whole file again and compare.

        :raises NotFoundError: if it is not known.
        :raises ModelStoreError: if there is no file.
        """
        entry = self.entry(name)
        path = self._path(entry)
        if not path.is_file():
            raise ModelStoreError(
                f"The model {name} is not on this machine.",
                next_step=f"hivekeep models pull {name}",
            )
        with _disk_errors(self.folder):
            actual = sha256_of(path, lambda _: None)
            if actual == entry.sha256:
                write_stamp(path, actual)
            else:
                remove_stamp(path)
        return Verification(actual == entry.sha256, actual, entry.sha256)

    def remove(self, name: str) -> int:
        """Delete the file and what is left of downloads; the bytes freed.

        :raises NotFoundError: if the model is not known.
        :raises ModelStoreError: if it is being pulled, or cannot be deleted.
        """
        entry = self.entry(name)
        path = self._path(entry)
        with _disk_errors(self.folder), exclusive(self._lock(entry), name):
            partial = Partial(self.folder / f"{name}.partial", entry.size)
            freed = partial.used + (path.stat().st_size if path.is_file() else 0)
            partial.clear()
            remove_stamp(path)
            path.unlink(missing_ok=True)
            return freed

    def _path(self, entry: ModelEntry) -> Path:
        return self.folder / f"{entry.name}.gguf"

    def _lock(self, entry: ModelEntry) -> Path:
        return self.folder / f".{entry.name}.lock"

    def _state(self, entry: ModelEntry) -> ModelState:
        path = self._path(entry)
        if is_stamped(path, entry.sha256):
            return ModelState.INSTALLED
        if path.exists() or (self.folder / f"{entry.name}.partial").exists():
            return ModelState.PARTIAL
        return ModelState.ABSENT

    def _genuine(self, entry: ModelEntry, path: Path, progress: Callable[[int], None]) -> bool:
        """Whether the file is what the catalog names; if so it is stamped."""
        genuine = path.stat().st_size == entry.size and sha256_of(path, progress) == entry.sha256
        if genuine:
            write_stamp(path, entry.sha256)
        return genuine

    def _refuse_too_small(
        self, entry: ModelEntry, sources: tuple[Source, ...], partial: Partial, tell: _Teller
    ) -> None:
        memory = self._memory()
        if memory.total < entry.memory:
            raise ModelStoreError(
                f"This machine has too little memory for {entry.name}.",
                why=f"It needs {_size(entry.memory)}, the machine has {_size(memory.total)}.",
                next_step="Choose a smaller model: hivekeep models list",
            )
        needed = (
            entry.size
            + max(extra_space(source, entry) for source in sources)
            + _RESERVE
            - partial.used
        )
        free = self._free_space(self.folder)
        if free < needed:
            raise ModelStoreError(
                f"There is too little room on the disk for {entry.name}.",
                why=f"{_size(needed)} are needed in {self.folder}, {_size(free)} are free.",
                next_step="Make room, or set HIVEKEEP_MODELS_DIR to a folder on another disk.",
            )
        if memory.available < entry.memory:
            tell(
                partial.length,
                f"{entry.name}: needs {_size(entry.memory)} of memory to run, "
                f"only {_size(memory.available)} are free now",
            )

    def _try_sources(
        self, entry: ModelEntry, sources: tuple[Source, ...], partial: Partial, tell: _Teller
    ) -> None:
        failures: list[tuple[Source, HivekeepError]] = []
        with ExitStack() as stack:
            fetchers: list[Fetcher] = []

            def fetch() -> Fetcher:
                # Made at the first need: a copy from a folder opens no client at all.
                if not fetchers:
                    client = stack.enter_context(self._client())
                    fetchers.append(Fetcher(client, self._permit))
                return fetchers[0]

            supply = Supply(fetch, environment(), tell)
            for source in sources:
                try:
                    _obtain(source, entry, partial, supply)
                except (ModelStoreError, PolicyDeniedError) as error:
                    failures.append((source, error))
                else:
                    return
        raise _all_failed(entry, failures)


class _Teller:
    """Passes progress on; never more than the total, which a wheel's own bytes can exceed."""

    def __init__(self, entry: ModelEntry, callback: ProgressCallback | None) -> None:
        self._total = entry.size
        self._callback = callback

    def __call__(self, done: int, phase: str) -> None:
        if self._callback is not None:
            self._callback(Progress(min(done, self._total), self._total, phase))


def _obtain(source: Source, entry: ModelEntry, partial: Partial, supply: Supply) -> None:
    """Fill from one source and compare hashes; a continued file gets one fresh start."""
    for _ in range(2):
        resumed = partial.used > 0
        partial.create()
        fill(source, entry, partial, supply)
        actual = ""
        if partial.length == entry.size:
            phase = f"{entry.name}: verifying"
            actual = sha256_of(partial.weights, lambda done: supply.report(done, phase))  # noqa: B023
        if actual == entry.sha256:
            return
        partial.clear()
        if not resumed:
            break
    raise ModelStoreError(
        f"What the source handed out is not {entry.name}; it was removed.",
        why=f"Its SHA-256 is {actual}, the catalog says {entry.sha256}."
        if actual
        else f"It does not have {entry.size} bytes.",
    )


def _chosen_sources(entry: ModelEntry, chosen: str | None) -> tuple[Source, ...]:
    if chosen and chosen.startswith("file:"):
        return (FileSource(kind="file", path=chosen.removeprefix("file:")),)
    if chosen and chosen not in SOURCE_KINDS:
        raise UsageError(
            f"There is no kind of source called '{chosen}'.",
            next_step=f"One of: {', '.join(SOURCE_KINDS)}, or file:PATH.",
        )
    sources = tuple(s for s in entry.sources if not chosen or s.kind == chosen)
    if not sources:
        raise UsageError(
            f"{entry.name} has no source of that kind.",
            next_step=f"It has: {', '.join(s.kind for s in entry.sources) or 'none'}.",
        )
    return sources


def _all_failed(entry: ModelEntry, failures: list[tuple[Source, HivekeepError]]) -> HivekeepError:
    for _, error in failures:
        if isinstance(error, PolicyDeniedError):
            return error
    if len(failures) == 1 and failures[0][1].why:
        return failures[0][1]
    reasons = " ".join(
        f"{source.kind}: {error.what} {error.why}".strip() for source, error in failures
    )
    return ModelStoreError(
        f"{entry.name} could not be obtained.",
        why=reasons,
        next_step=f"Run 'hivekeep models pull {entry.name}' again; it goes on where it stopped.",
    )


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise ModelStoreError(
            "The disk is full." if full else f"The model folder {folder} cannot be used.",
            why=f"{error.strerror or error}.",
            next_step="Make room and run the same command again; it goes on where it stopped."
            if full
            else "Check the folder's permissions, or set HIVEKEEP_MODELS_DIR.",
        ) from error


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
