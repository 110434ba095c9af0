"""Trying a model's sources in order until one hands out the genuine bytes.

Responsible for the order, for one fresh start of a download whose continuation was wrong, and for
an error that names every source's reason.  Invariant: bytes with a wrong hash are removed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from hivekeep.domain.errors import HivekeepError, ModelStoreError, PolicyDeniedError, UsageError
from hivekeep.engine.store.catalog import SOURCE_KINDS, FileSource, ModelEntry, Source
from hivekeep.engine.store.http import Fetcher
from hivekeep.engine.store.partial import Partial
from hivekeep.engine.store.permit import Permit
from hivekeep.engine.store.sources import Supply, fill
from hivekeep.engine.store.stamp import sha256_of
from hivekeep.engine.store.status import Teller

if TYPE_CHECKING:
    import httpx


def obtain(
    entry: ModelEntry,
    sources: tuple[Source, ...],
    partial: Partial,
    tell: Teller,
    *,
    client: Callable[[], httpx.Client],
    permit: Permit,
    sleep: Callable[[float], None],
) -> None:
    """Fill ``partial`` with the genuine model from the first source that can.

    :raises ModelStoreError: if none can.
    :raises PolicyDeniedError: if none can and policy forbade one of them.
    """
    failures: list[tuple[Source, HivekeepError]] = []
    with ExitStack() as stack:
        fetchers: list[Fetcher] = []

        def fetch() -> Fetcher:
            # Made at the first need: a copy from a folder opens no client at all.
            if not fetchers:
                session = stack.enter_context(client())
                fetchers.append(Fetcher(session, permit, sleep))
            return fetchers[0]

        supply = Supply(fetch, os.environ, tell)
        for source in sources:
            try:
                _from_source(source, entry, partial, supply)
            except (ModelStoreError, PolicyDeniedError) as error:
                failures.append((source, error))
            else:
                return
    raise _all_failed(entry, failures)


def _from_source(source: Source, entry: ModelEntry, partial: Partial, supply: Supply) -> None:
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


def chosen_sources(entry: ModelEntry, chosen: str | None) -> tuple[Source, ...]:
    """The sources to try: all in the catalog's order, those of one kind, or ``file:PATH``.

    :raises UsageError: if there is none.
    """
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
