"""The text of one answer as it grows: pieces to stream, stop strings, log-probabilities.

Responsible for turning tokens' bytes into text and for ending it before a stop string; it knows
nothing of batches.  Invariant: text that was handed out for streaming is never taken back.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from hivekeep.domain.errors import EngineError

_MOST_STOPS = 16
_LONGEST_STOP = 200


class AnswerText:
    """One answer. ``stops`` end it and are not part of it.

    :raises EngineError: if there are too many stop strings, or one is empty or too long.
    """

    def __init__(self, stops: Sequence[str] = ()) -> None:
        if len(stops) > _MOST_STOPS or not all(0 < len(stop) <= _LONGEST_STOP for stop in stops):
            raise EngineError(
                "The stop strings cannot be used.",
                why=f"At most {_MOST_STOPS}, each of 1 to {_LONGEST_STOP} characters.",
            )
        self._stops = tuple(stops)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._data = bytearray()
        self._text = ""
        self._streamed = 0
        self._logprobs: list[tuple[int, int, float]] = []
        self.stopped = False

    @property
    def text(self) -> str:
        """The whole answer so far."""
        return self._text if self.stopped else self._data.decode("utf-8", "replace")

    @property
    def logprobs(self) -> tuple[tuple[int, int, float], ...]:
        """One ``(start, end, logprob)`` a token, in bytes of ``text``."""
        if not self.stopped:
            return tuple(self._logprobs)
        end = len(self._text.encode())
        return tuple((a, min(b, end), p) for a, b, p in self._logprobs if a < end)

    def add(self, piece: bytes, logprob: float) -> str:
        """Append a token's bytes; the text that may be streamed now."""
        start = len(self._data)
        self._data += piece
        self._logprobs.append((start, len(self._data), round(logprob, 4)))
        before = len(self._text)
        self._text += self._decoder.decode(piece)
        if not self._stops:
            return self._release(len(self._text))
        longest = max(len(stop) for stop in self._stops)
        found = [self._text.find(stop, max(0, before - longest)) for stop in self._stops]
        hits = [at for at in found if at >= 0]
        if hits:
            self.stopped = True
            self._text = self._text[: min(hits)]
            return self._release(len(self._text))
        return self._release(len(self._text) - self._held_back())

    def rest(self) -> str:
        """What was held back, now that the answer has ended."""
        if not self.stopped:
            self._text += self._decoder.decode(b"", final=True)
        return self._release(len(self._text))

    def _held_back(self) -> int:
        """How many last characters may be the beginning of a stop string."""
        return max(
            size
            for stop in self._stops
            for size in range(len(stop))
            if not size or self._text.endswith(stop[:size])
        )

    def _release(self, end: int) -> str:
        piece = self._text[self._streamed : end]
        self._streamed = max(self._streamed, end)
        return piece
