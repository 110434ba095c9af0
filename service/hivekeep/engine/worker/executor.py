"""Computes batches with llama.cpp.

Responsible for the model, its context and the sequences in it; not for what is computed next.
Invariant: document text is tokenised without special tokens, so that nothing a document says can
end its turn of the conversation.
"""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
from llguidance.llamacpp import lltokenizer_from_vocab

from hivekeep.domain.errors import EngineError
from hivekeep.domain.inference import Message
from hivekeep.engine.worker.sampling import Logits
from hivekeep.engine.worker.scheduler import Piece, Placement

_MARK = "\x02{}\x03"
_UBATCH = 512


# What llama.cpp last complained of; it says why in its log only.
_complaints: deque[str] = deque(maxlen=4)


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _note(level: int, text: bytes, _data: object) -> None:
    if level >= 4:  # GGML_LOG_LEVEL_ERROR
        said = text.decode(errors="replace")
        _complaints.append(said)
        print(said, end="")  # noqa: T201 - standard output is the log here


def _last_error(otherwise: str) -> str:
    said = [line.strip() for line in _complaints if ": " in line]
    return f"{said[0].partition(': ')[2].rstrip('.')}."[:300] if said else otherwise


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How a model is loaded.

    ``slots`` sequences of ``context`` tokens, bounded by what llama.cpp and the model allow;
    ``batch`` is the most tokens in one ``decode``; ``gpu_layers`` layers are kept on a graphics
    processor if this build of llama.cpp has one, all of them if negative; ``adapter`` is the path
    of a LoRA adapter.
    """

    slots: int
    context: int
    threads: int
    batch: int
    gpu_layers: int = 0
    adapter: str = ""


class Executor:
    """One loaded model.

    :raises EngineError: if the model or its adapter cannot be loaded.
    """

    def __init__(self, path: Path, options: ModelOptions) -> None:
        llama_cpp.llama_log_set(_note, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        self._model = self._load(path, options.gpu_layers)
        self.most_context = int(llama_cpp.llama_model_n_ctx_train(self._model))
        self.context = min(options.context, self.most_context)
        # What does not get a sequence of its own waits for one.
        self.slots = min(options.slots, int(llama_cpp.llama_max_parallel_sequences()))
        self._adapter = self._load_adapter(options.adapter) if options.adapter else None
        self._context = self._make_context(options.threads, options.batch)
        self._memory = llama_cpp.llama_get_memory(self._context)
        self.vocab = llama_cpp.llama_model_get_vocab(self._model)
        self.vocab_size = int(llama_cpp.llama_vocab_n_tokens(self.vocab))
        self.tokenizer = lltokenizer_from_vocab(self.vocab)
        self._batch = llama_cpp.llama_batch_init(options.batch, 0, 1)
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

    def clear(self, slot: int) -> None:
        """Empty a slot's sequence."""
        llama_cpp.llama_memory_seq_rm(self._memory, slot, -1, -1)

    def use_threads(self, count: int) -> None:
        """Compute with so many threads from now on."""
        llama_cpp.llama_set_n_threads(self._context, count, count)

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

    def _load(self, path: Path, gpu_layers: int) -> Any:
        parameters = llama_cpp.llama_model_default_params()
        parameters.use_mmap = True
        offload = bool(llama_cpp.llama_supports_gpu_offload())
        self.gpu_layers = gpu_layers if offload else 0
        parameters.n_gpu_layers = self.gpu_layers
        model = llama_cpp.llama_model_load_from_file(str(path).encode(), parameters)
        if not model:
            raise EngineError(
                f"The model '{path.name}' could not be loaded.",
                why=_last_error("llama.cpp refused the file."),
                next_step=f"hivekeep models verify {path.stem}",
            )
        return model

    def _load_adapter(self, adapter: str) -> Any:
        loaded = llama_cpp.llama_adapter_lora_init(self._model, adapter.encode())
        if not loaded:
            raise EngineError(
                f"The adapter '{adapter}' cannot be used with this model.",
                why=_last_error("llama.cpp refused the file."),
                next_step="A recipe's adapter has to be a LoRA file in GGUF made for its model.",
            )
        return loaded

    def _make_context(self, threads: int, batch: int) -> Any:
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = self.context * self.slots
        parameters.n_batch = batch
        parameters.n_ubatch = min(batch, _UBATCH)
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
        if self._adapter is not None:
            adapters = (llama_cpp.llama_adapter_lora_p_ctypes * 1)(self._adapter)
            scales = (ctypes.c_float * 1)(1.0)
            if llama_cpp.llama_set_adapters_lora(context, adapters, 1, scales) != 0:
                raise EngineError("The adapter cannot be applied to this model.")
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
