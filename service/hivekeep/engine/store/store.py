"""The store of models: list, pull, verify, remove.

Responsible for trying sources in order and for putting only genuine files in place; each source's
own way is in ``sources``.  Invariant: a file reaches its final name by one rename, after its
SHA-256 was compared with the catalog's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hivekeep.domain.errors import ModelStoreError, NotFoundError
from hivekeep.domain.saying import say
from hivekeep.engine.store.capacity import (
    Memory,
    disk_errors,
    free_space,
    machine_memory,
    refuse_too_small,
)
from hivekeep.engine.store.catalog import USER_CATALOG, ModelEntry, load_catalog
from hivekeep.engine.store.partial import Partial, exclusive
from hivekeep.engine.store.permit import Permit, no_network
from hivekeep.engine.store.stamp import is_stamped, remove_stamp, sha256_of, write_stamp
from hivekeep.engine.store.status import (
    ModelState,
    ModelStatus,
    ProgressCallback,
    Teller,
    Verification,
)

if TYPE_CHECKING:
    import httpx


class ModelStore:
    """Models in ``folder``.

    :param catalog: the known models; by default the built-in ones and ``folder/catalog.yaml``.
    :param permit: asked with the host's name before any connection; by default nothing is allowed.
    :param client: makes the HTTP client of one pull; by default a patient one.
    :param memory: tells the machine's memory.
    :param free_space: tells the bytes free where a folder lies.
    :param sleep: waits that many seconds before a failed request is tried again.
    :raises ConfigError: if the user's catalog is wrong.
    """

    def __init__(
        self,
        folder: Path,
        *,
        catalog: Mapping[str, ModelEntry] | None = None,
        permit: Permit = no_network,
        client: Callable[[], httpx.Client] | None = None,
        memory: Callable[[], Memory] = machine_memory,
        free_space: Callable[[Path], int] = free_space,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.folder = folder
        self._catalog = load_catalog(folder / USER_CATALOG) if catalog is None else catalog
        self._permit = permit
        self._client = client
        self._memory = memory
        self._free_space = free_space
        self._sleep = sleep

    def list(self) -> list[ModelStatus]:
        """Every known model with its state."""
        return [
            ModelStatus(
                entry, state := self._state(entry), self._path(entry), self._done(entry, state)
            )
            for entry in self._catalog.values()
        ]

    def memory(self) -> Memory:
        """The machine's memory, which a model has to fit into."""
        return self._memory()

    def entry(self, name: str) -> ModelEntry:
        """What the catalog says of ``name``.

        :raises NotFoundError: if it is not known.
        """
        entry = self._catalog.get(name)
        if entry is None:
            raise NotFoundError(
                say("error.no_model", "There is no model '{model}'.", model=name),
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
                say("error.model_absent", "The model {model} is not on this machine.", model=name),
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
        # Imported here: the daemon opens a store too, and never downloads.
        from hivekeep.engine.store.http import default_client
        from hivekeep.engine.store.obtain import chosen_sources, obtain

        entry = self.entry(name)
        sources = chosen_sources(entry, source)
        path = self._path(entry)
        tell = Teller(entry, progress)
        if is_stamped(path, entry.sha256):
            tell(entry.size, f"{name}: ready")
            return path
        with disk_errors(self.folder), exclusive(self._lock(entry), name):
            if path.is_file() and not is_stamped(path, entry.sha256):
                tell(0, f"{name}: verifying the file that is here")
                if self._genuine(entry, path, lambda done: tell(done, f"{name}: verifying")):
                    return path
                path.unlink()
            partial = self._partial(entry)
            with partial.attempt():
                refuse_too_small(
                    entry,
                    sources,
                    partial,
                    tell,
                    memory=self._memory(),
                    free=self._free_space(self.folder),
                )
                obtain(
                    entry,
                    sources,
                    partial,
                    tell,
                    client=self._client or default_client,
                    permit=self._permit,
                    sleep=self._sleep,
                )
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
                say("error.model_absent", "The model {model} is not on this machine.", model=name),
                next_step=f"hivekeep models pull {name}",
            )
        with disk_errors(self.folder):
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
        with disk_errors(self.folder), exclusive(self._lock(entry), name):
            partial = self._partial(entry)
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
        if path.exists() or self._partial(entry).used:
            return ModelState.PARTIAL
        return ModelState.ABSENT

    def _done(self, entry: ModelEntry, state: ModelState) -> int:
        if state is not ModelState.PARTIAL:
            return entry.size if state is ModelState.INSTALLED else 0
        here = self._path(entry)
        used = here.stat().st_size if here.exists() else self._partial(entry).used
        return min(used, entry.size)

    def _partial(self, entry: ModelEntry) -> Partial:
        return Partial(self.folder / f"{entry.name}.partial", entry.size)

    def _genuine(self, entry: ModelEntry, path: Path, progress: Callable[[int], None]) -> bool:
        """Whether the file is what the catalog names; if so it is stamped."""
        genuine = path.stat().st_size == entry.size and sha256_of(path, progress) == entry.sha256
        if genuine:
            write_stamp(path, entry.sha256)
        return genuine
