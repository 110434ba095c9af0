"""The chat-completions protocol as plain data: a request's body, and the answer from its stream.

Responsible for the format; not for connecting.  What a server sends is untrusted: it is typed and
bounded here.  Sources: the OpenAI API reference, vLLM's and llama-server's documentation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hivekeep.domain.inference import FinishEvent, FinishReason, GenerateRequest
from hivekeep.domain.runs import Usage
from hivekeep.engine.remote.models import Guided, RemoteModel

# An answer may not grow beyond this many characters for each token that was allowed.
_CHARACTERS_PER_TOKEN = 64


class BadReplyError(ValueError):
    """The server's reply is not what the protocol says."""


def body_of(request: GenerateRequest, remote: RemoteModel) -> dict[str, Any]:
    """The JSON body that asks for a streamed answer."""
    body: dict[str, Any] = {
        "model": remote.model,
        "messages": [{"role": m.role.value, "content": m.content} for m in request.messages],
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
        "stream": True,
        "stream_options": {"include_usage": True},
        "logprobs": True,
    }
    if request.stop:
        body["stop"] = list(request.stop)
    if request.schema is not None and remote.guided is Guided.JSON_SCHEMA:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": request.schema},
        }
    elif request.schema is not None and remote.guided is Guided.GUIDED_JSON:
        body["guided_json"] = request.schema
    return body


@dataclass(slots=True)
class Reply:
    """An answer that arrives in pieces."""

    request: GenerateRequest
    text: str = ""
    reason: FinishReason | None = None
    usage: Usage = Usage()
    pieces: int = 0
    logprobs: list[tuple[int, int, float]] = field(default_factory=list)
    _bytes: int = 0

    def take(self, data: str) -> str:
        """One event's data; the text that it adds.

        :raises BadReplyError: if it is not a completion's chunk.
        """
        try:
            chunk = json.loads(data)
            if "error" in chunk:
                raise BadReplyError(message_of(chunk))
            if chunk.get("usage"):
                self.usage = _usage(chunk["usage"])
            choices = chunk.get("choices") or []
            return self._choice(choices[0]) if choices else ""
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            if isinstance(error, BadReplyError):
                raise
            raise BadReplyError(f"a chunk of its answer cannot be read: {error}") from error

    def _choice(self, choice: Mapping[str, Any]) -> str:
        added = str(choice.get("delta", {}).get("content") or "")
        self.text += added
        self.pieces += bool(added)
        if len(self.text) > self.request.max_tokens * _CHARACTERS_PER_TOKEN:
            raise BadReplyError("its answer is longer than was allowed")
        for token in (choice.get("logprobs") or {}).get("content") or []:
            size = len(str(token["token"]).encode())
            self.logprobs.append((self._bytes, self._bytes + size, float(token["logprob"])))
            self._bytes += size
        if choice.get("finish_reason"):
            length = choice["finish_reason"] == "length"
            self.reason = FinishReason.LENGTH if length else FinishReason.STOP
        return added

    def finish(self, seconds: float) -> FinishEvent:
        """The whole answer.

        :raises BadReplyError: if the stream ended before the answer did, or it breaks the schema.
        """
        if self.reason is None:
            raise BadReplyError("it stopped in the middle of the answer")
        if self.request.schema is not None and self.reason is FinishReason.STOP:
            _check_shape(self.text, self.request.schema)
        # Log-probabilities that do not spell the text say nothing about it.
        spelled = self._bytes == len(self.text.encode())
        return FinishEvent(
            request=self.request.id,
            text=self.text,
            reason=self.reason,
            usage=self.usage if self.usage.prompt else Usage(0, 0, self.pieces),
            seconds=round(seconds, 4),
            logprobs=tuple(self.logprobs) if spelled else (),
        )


def message_of(body: Any) -> str:
    """What a server says went wrong, bounded, on one line."""
    error = body.get("error", body) if isinstance(body, dict) else body
    text = error.get("message", error) if isinstance(error, dict) else error
    return " ".join(str(text).split())[:300]


def _usage(data: Mapping[str, Any]) -> Usage:
    details = data.get("prompt_tokens_details") or {}
    return Usage(
        prompt=int(data.get("prompt_tokens") or 0),
        cached=int(details.get("cached_tokens") or 0),
        completion=int(data.get("completion_tokens") or 0),
    )


def _check_shape(text: str, schema: Mapping[str, Any]) -> None:
    """A server that ignores the schema shows it: no JSON, or keys are missing."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadReplyError("its answer is not JSON although a schema was given") from error
    required = schema.get("required")
    if isinstance(required, list) and schema.get("type") == "object":
        missing = [key for key in required if not isinstance(value, dict) or key not in value]
        if missing:
            raise BadReplyError(f"its answer lacks '{missing[0]}', which the schema requires")
