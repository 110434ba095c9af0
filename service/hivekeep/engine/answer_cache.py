"""Answers kept by what they depend on, so that no model computes the same one twice.

Responsible for the encrypted, bounded file of answers and for the completer that asks it first; not
for who may ask: audit, budgets and verification treat a kept answer like a new one.  Invariant: an
answer is taken only for the same model file, prompt, schema and limits, and only where the model
would have given the same again: without chance.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol, Self

from anyio import to_thread

from hivekeep.domain.inference import FinishEvent, FinishReason, GenerateRequest
from hivekeep.domain.runs import Usage
from hivekeep.journal import decode, encode
from hivekeep.journal.database import DatabaseError, connect

logger = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    key  TEXT PRIMARY KEY,
    used REAL NOT NULL,
    size INTEGER NOT NULL,
    data TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS answers_by_use ON answers (used);
"""
# After pruning this share of the bound is left, so that not every answer prunes.
_KEPT_SHARE = 0.8


class Completer(Protocol):
    """Answers one inference request."""

    async def complete(self, request: GenerateRequest) -> FinishEvent:
        """:raises EngineError: if the request failed for good."""
        ...


def answer_key(request: GenerateRequest, model_sha256: str) -> str:
    """The hash of everything that the answer to ``request`` depends on."""
    parts = {
        "model": model_sha256,
        "prompt": encode(request.messages),
        "schema": request.schema,
        "max_tokens": request.max_tokens,
        "stop": list(request.stop),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class AnswerCache:
    """The answers of one profile; use it as a context manager.

    A file that cannot be read is started anew: what it held can be computed again.

    :param key: encrypts the file (SQLCipher), as the journal's key does the journal.
    :param most_bytes: the oldest answers, by when they were last used, make room beyond it.
    """

    def __init__(
        self, path: Path, *, key: bytes, clock: Callable[[], float], most_bytes: int = 64 << 20
    ) -> None:
        self._clock = clock
        self._most = most_bytes
        self._lock = threading.Lock()
        try:
            self._open(path, key)
        except DatabaseError:
            logger.warning("the answers kept in %s cannot be read; beginning anew", path)
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            self._open(path, key)

    def _open(self, path: Path, key: bytes) -> None:
        self._database = connect(path, key)
        try:
            # Losing the last answers costs computing them again, nothing else.
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.executescript(_SCHEMA)
            row = self._database.execute("SELECT coalesce(sum(size), 0) FROM answers").fetchone()
        except BaseException:
            self._database.close()
            raise
        self._size = int(row[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._database.close()

    @property
    def size(self) -> int:
        """Bytes of the answers that are kept."""
        return self._size

    def get(self, key: str) -> FinishEvent | None:
        """The answer kept under ``key``."""
        with self._lock:
            row = self._database.execute(
                "SELECT data FROM answers WHERE key = ?", (key,)
            ).fetchone()
            if row is None:
                return None
            self._database.execute(
                "UPDATE answers SET used = ? WHERE key = ?", (self._clock(), key)
            )
        return decode(FinishEvent, json.loads(row[0]))

    def put(self, key: str, answer: FinishEvent) -> None:
        """Keep ``answer`` under ``key``."""
        data = json.dumps(encode(answer))
        with self._lock:
            cursor = self._database.execute(
                "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?)",
                (key, self._clock(), len(data), data),
            )
            self._size += len(data) if cursor.rowcount > 0 else 0
            if self._size > self._most:
                self._prune()

    def _prune(self) -> None:
        for key, size in self._database.execute(
            "SELECT key, size FROM answers ORDER BY used"
        ).fetchall():
            if self._size <= self._most * _KEPT_SHARE:
                return
            self._database.execute("DELETE FROM answers WHERE key = ?", (key,))
            self._size -= size


class CachedCompleter:
    """Asks ``cache`` before ``engine``, while ``allowed`` says that answers may be kept.

    :param model_sha256: the hash of a model's file by its name; empty if it is not known, and then
        nothing is kept.
    """

    def __init__(
        self,
        engine: Completer,
        cache: AnswerCache,
        model_sha256: Callable[[str], str],
        allowed: Callable[[], bool] = lambda: True,
    ) -> None:
        self._engine = engine
        self._cache = cache
        self._model_sha256 = model_sha256
        self._allowed = allowed

    async def complete(self, request: GenerateRequest) -> FinishEvent:
        """The kept answer, which cost nothing now, or a new one.

        :raises EngineError: if the request failed for good.
        """
        model = self._model_sha256(request.model)
        if request.temperature > 0 or request.adapter or not model or not self._allowed():
            return await self._engine.complete(request)
        key = answer_key(request, model)
        known = await to_thread.run_sync(self._cache.get, key)
        if known is not None:
            spared = Usage(prompt=known.usage.prompt, cached=known.usage.prompt)
            return replace(known, request=request.id, usage=spared, seconds=0.0)
        answer = await self._engine.complete(request)
        if answer.reason is not FinishReason.CANCELLED:
            await to_thread.run_sync(self._cache.put, key, answer)
        return answer
