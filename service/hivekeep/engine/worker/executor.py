"""Computes batches with llama.cpp.

Responsible for the model, its context and the sequences in it; not for what is computed next.
Invariant: document text is tokenised without special tokens, so that nothing a document says can
end its turn of the conversation.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
import numpy.typing as npt
import psutil
from llguidance.llamacpp import lltokenizer_from_vocab

from hivekeep.domain.errors import EngineError
from hivekeep.domain.inference import Message
from hivekeep.engine.worker.scheduler import Piece, Placement

Logits = npt.NDArray[np.float32]
_MARK = "\x02{}\x03"
# What the context and the compute buffers may take of the memory that is free once weights are in.
_CONTEXT_SHARE = 0.5


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _quiet(level: int, text: bytes, _data: object) -> None:
    if level >= 4:  # GGML_LOG_LEVEL_ERROR
        print(text.decode(errors="replace"), end="")  # noqa: T201 - standard output is the log here


class Executor:
    """One loaded model.

    :param slots: sequences wanted; fewer are made if memory is short.
    :param context: tokens for each sequence, bounded by what the model was trained for.
    :param batch: the most tokens in one ``decode``.
    :raises EngineError: if the model cannot be loaded.
    """

    def __init__(self, path: Path, *, slots: int, context: int, threads: int, batch: int) -> None:
        llama_cpp.llama_log_set(_quiet, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        parameters = llama_cpp.llama_model_default_params()
        self._model = llama_cpp.llama_model_load_from_file(str(path).encode(), parameters)
        if not self._model:
            raise EngineError(
                f"The model '{path.name}' could not be loaded.",
                why="llama.cpp refused the file.",
                next_step=f"hivekeep models verify {path.stem}",
            )
        self.context = min(context, llama_cpp.llama_model_n_ctx_train(self._model))
        self.slots = self._affordable(slots)
        self._context = self._make_context(threads, batch)
        self._memory = llama_cpp.llama_get_memory(self._context)
        self.vocab = llama_cpp.llama_model_get_vocab(self._model)
        self.vocab_size = int(llama_cpp.llama_vocab_n_tokens(self.vocab))
        self.tokenizer = lltokenizer_from_vocab(self.vocab)
        self._batch = llama_cpp.llama_batch_init(batch, 0, 1)
        self._pieces: dict[int, bytes] = {}

    def close(self) -> None:
        """Free everything."""
        llama_cpp.llama_batch_free(self._batch)
        llama_cpp.llama_free(self._context)
        llama_cpp.llama_model_free(self._model)

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """The tokens of a conversation in the model's own template, ready for the answer."""
        template = llama_cpp.llama_model_chat_template(self._model, None) or b"chatml"
        marks = [_MARK.format(number) for number in range(len(messages))]
        text = self._apply(template, messages, marks)
        tokens: list[int] = []
        for message, mark in zip(messages, marks, strict=True):
            before, found, text = text.partition(mark)
            if not found:
                raise EngineError("The model's chat template drops messages.")
            tokens += self.tokenize(before, special=True)
            tokens += self.tokenize(message.content, special=False)
        return tokens + self.tokenize(text, special=True)

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """The tokens of ``text``; control tokens are recognised only if ``special``."""
        data = text.encode("utf-8", "replace")
        if not data:
            return []
        room = len(data) + 8
        buffer = (llama_cpp.llama_token * room)()
        count = llama_cpp.llama_tokenize(self.vocab, data, len(data), buffer, room, False, special)
        return list(buffer[:count])

    def piece(self, token: int) -> bytes:
        """The bytes that a token stands for; nothing for control tokens."""
        known = self._pieces.get(token)
        if known is None:
            buffer = ctypes.create_string_buffer(256)
            count = llama_cpp.llama_token_to_piece(self.vocab, token, buffer, 256, 0, False)
            known = self._pieces[token] = buffer.raw[: max(count, 0)]
        return known

    def ends(self, token: int) -> bool:
        """Whether the token ends an answer."""
        return bool(llama_cpp.llama_vocab_is_eog(self.vocab, token))

    def place(self, placement: Placement) -> None:
        """Make a slot's sequence what the scheduler says it is."""
        slot = placement.slot
        if placement.copy_from is not None and placement.copy_from != slot:
            llama_cpp.llama_memory_seq_rm(self._memory, slot, -1, -1)
            llama_cpp.llama_memory_seq_cp(self._memory, placement.copy_from, slot, -1, -1)
        llama_cpp.llama_memory_seq_rm(self._memory, slot, placement.keep, -1)

    def decode(self, pieces: Sequence[Piece]) -> dict[int, Logits]:
        """Compute a batch; the logits of each piece that wants them, by slot.

        The arrays are views that the next call overwrites.

        :raises EngineError: if llama.cpp fails.
        """
        batch = self._batch
        at = 0
        wanted: dict[int, int] = {}
        for piece in pieces:
            for offset, token in enumerate(piece.tokens):
                batch.token[at] = token
                batch.pos[at] = piece.start + offset
                batch.n_seq_id[at] = 1
                batch.seq_id[at][0] = piece.slot
                batch.logits[at] = 0
                at += 1
            if piece.wants_logits:
                batch.logits[at - 1] = 1
                wanted[piece.slot] = at - 1
        batch.n_tokens = at
        status = llama_cpp.llama_decode(self._context, batch)
        if status != 0:
            raise EngineError(
                "The model could not compute a batch.", why=f"llama_decode: {status}."
            )
        return {
            slot: np.ctypeslib.as_array(
                llama_cpp.llama_get_logits_ith(self._context, row), shape=(self.vocab_size,)
            )
            for slot, row in wanted.items()
        }

    def _affordable(self, wanted: int) -> int:
        """How many sequences fit half the free memory: keys and values in half precision."""
        heads = llama_cpp.llama_model_n_head(self._model)
        width = llama_cpp.llama_model_n_embd(self._model) // max(heads, 1)
        per_token = (
            llama_cpp.llama_model_n_layer(self._model)
            * llama_cpp.llama_model_n_head_kv(self._model)
            * width * 2 * 2
        )  # fmt: skip
        free = psutil.virtual_memory().available * _CONTEXT_SHARE
        return max(1, min(wanted, int(free // (per_token * self.context))))

    def _make_context(self, threads: int, batch: int) -> Any:
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = self.context * self.slots
        parameters.n_batch = batch
        parameters.n_ubatch = min(batch, 512)
        parameters.n_seq_max = self.slots
        parameters.n_threads = threads
        parameters.n_threads_batch = threads
        # One stream a sequence: a unified cache makes every sequence attend over all cells.
        parameters.kv_unified = False
        parameters.no_perf = True
        context = llama_cpp.llama_init_from_model(self._model, parameters)
        if not context:
            raise EngineError(
                "The model's context could not be made.",
                why=f"{self.slots} sequences of {self.context} tokens did not fit into memory.",
                next_step="Close other programs, or use a smaller model.",
            )
        return context

    def _apply(self, template: bytes, messages: Sequence[Message], marks: Sequence[str]) -> str:
        chat = (llama_cpp.llama_chat_message * len(messages))()
        kept = [
            (m.role.value.encode(), mark.encode()) for m, mark in zip(messages, marks, strict=True)
        ]
        for entry, (role, content) in zip(chat, kept, strict=True):
            entry.role, entry.content = role, content
        room = 4096
        buffer = ctypes.create_string_buffer(room)
        count = llama_cpp.llama_chat_apply_template(
            template, chat, len(messages), True, buffer, room
        )
        if not 0 <= count < room:
            raise EngineError("The model's chat template cannot be applied.")
        return buffer.raw[:count].decode()
