"""A checkpoint in llama.cpp: it looks at crops and writes its answers, as fast as that library lets it.

Greedy, several crops in one batch, attention in one pass, the question computed once and kept in the cache of keys and
values for all of them. It speaks in token numbers; a crop is prepared as llama.cpp prepares pictures. Needs
`llama-cpp-python` with `mtmd`.
"""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.gguf_files import GgufFiles

Floats = NDArray[np.float32]
ROUNDED = {"q4_0": 2, "q5_0": 8, "q4_k": 15}
"""Kinds that llama.cpp writes and its converter does not: their numbers there."""
_ERROR = 4
"""GGML_LOG_LEVEL_ERROR."""
_PICTURE = 1
"""MTMD_INPUT_CHUNK_TYPE_IMAGE."""
_KEPT: list[Any] = []
"""What C calls back: it holds no reference of its own."""
_PROMPT = 0
"""The sequence that holds the question; those of the crops start as copies of it."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token numbers around a picture."""

    before: list[int]
    image_tokens: int
    after: list[int]

    @classmethod
    def around(cls, ids: Sequence[int], image_id: int) -> Prompt:
        """Of a prompt with a marker for each of the picture's tokens."""
        start, count = list(ids).index(image_id), list(ids).count(image_id)
        return cls(list(ids[:start]), count, list(ids[start + count :]))


@dataclass(frozen=True, slots=True)
class Pace:
    """What decides how fast it is, apart from the weights."""

    threads: int = 2
    batch: int = 8
    """Crops at a time, at most."""
    flash: bool = True
    """Attention in one pass (`flash_attn`)."""
    shared_cache: bool = False
    """One cache for all crops (`kv_unified`), instead of one for each."""


class LlamaCpp:
    """A model in llama.cpp. Close it: its memory is not Python's.

    Raises:
        ImportError: llama-cpp-python is not installed, or was built without `mtmd`.
        RuntimeError: llama.cpp refused a file or a step.
    """

    def __init__(self, files: GgufFiles, prompt: Prompt, longest_answer: int, pace: Pace | None = None) -> None:
        self._c, self._m = _libraries()
        self._prompt, self._pace = prompt, pace or Pace()
        model = self._c.llama_model_default_params()
        model.n_gpu_layers = 0
        self._model = _made(self._c.llama_model_load_from_file(str(files.text).encode(), model), files.text)
        self._context = _made(self._c.llama_init_from_model(self._model, self._settings(longest_answer)), files.text)
        self._eyes = _made(self._open_eyes(files), files.vision)
        self._memory = self._c.llama_get_memory(self._context)
        self._words = int(self._c.llama_vocab_n_tokens(self._c.llama_model_get_vocab(self._model)))
        self._width = int(self._c.llama_model_n_embd(self._model))
        self._say(prompt.before, [_PROMPT] * len(prompt.before), list(range(len(prompt.before))), read=0)

    def close(self) -> None:
        """Give the memory back."""
        self._m.mtmd_free(self._eyes)
        self._c.llama_free(self._context)
        self._c.llama_model_free(self._model)

    def prepare(self, pixels: NDArray[np.uint8]) -> list[Any]:
        """Crops (B, S, S, 3) RGB as llama.cpp wants them, scaled to numbers; `free` them."""
        return [self._prepared(np.ascontiguousarray(one)) for one in pixels]

    def free(self, crops: Sequence[Any]) -> None:
        """Forget prepared crops."""
        for chunks, _ in crops:
            self._m.mtmd_input_chunks_free(chunks)

    def answer(self, crops: Sequence[Any], tokens: int) -> NDArray[np.int64]:
        """What it says of crops (B, tokens), the likeliest word at each step, not stopping before."""
        told = [self._first_words(crops).argmax(1)]
        while len(told) < tokens:
            told.append(self._next_words(told[-1], len(told) - 1).argmax(1))
        return np.stack(told, axis=1)

    def scores(self, crops: Sequence[Any], phrases: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        """Log-probabilities (B, phrases) of whole answers, each token by token."""
        first = _log_softmax(self._first_words(crops))
        columns = []
        for phrase in phrases:
            self._rewind(len(crops))
            sums, row = np.zeros(len(crops)), first
            for step, word in enumerate(phrase):
                if step:
                    row = _log_softmax(self._next_words(np.full(len(crops), phrase[step - 1]), step - 1))
                sums += row[:, word]
            columns.append(sums)
        return np.stack(columns, axis=1)

    def _first_words(self, crops: Sequence[Any]) -> Floats:
        """Logits (B, words) after prompt and picture."""
        if len(crops) > self._pace.batch:
            raise ValueError(f"opened for batches of {self._pace.batch}, got {len(crops)} crops")
        sequences = range(1, len(crops) + 1)
        for sequence in sequences:
            self._c.llama_memory_seq_rm(self._memory, sequence, -1, -1)
            self._c.llama_memory_seq_cp(self._memory, _PROMPT, sequence, -1, -1)
        start, count, after = len(self._prompt.before), self._prompt.image_tokens, self._prompt.after
        seen = np.concatenate([self._see(chunk) for _, chunk in crops])
        places = list(range(start, start + count)) * len(crops)
        self._say(seen, [one for one in sequences for _ in range(count)], places, read=0)
        places = list(range(start + count, start + count + len(after))) * len(crops)
        logits = self._say(after * len(crops), [one for one in sequences for _ in after], places, read=len(after))
        return logits

    def _next_words(self, words: NDArray[Any], step: int) -> Floats:
        """Logits (B, words) after one more word of each answer, its step-th."""
        place = self._answer_start + step
        return self._say([int(word) for word in words], list(range(1, len(words) + 1)), [place] * len(words), read=1)

    @property
    def _answer_start(self) -> int:
        return len(self._prompt.before) + self._prompt.image_tokens + len(self._prompt.after)

    def _rewind(self, crops: int) -> None:
        for sequence in range(1, crops + 1):
            self._c.llama_memory_seq_rm(self._memory, sequence, self._answer_start, -1)

    def _say(self, what: list[int] | Floats, sequences: list[int], places: list[int], read: int) -> Floats:
        """Compute tokens or embeddings (N, D); the logits (N / read, words) of every `read`-th, of none for 0."""
        embedded = isinstance(what, np.ndarray)
        batch = self._c.llama_batch_init(len(what), self._width if embedded else 0, 1)
        try:
            if embedded:
                ctypes.memmove(batch.embd, np.ascontiguousarray(what).ctypes.data, len(what) * self._width * 4)
            batch.n_tokens = len(what)
            for row in range(len(what)):
                if not embedded:
                    batch.token[row] = what[row]
                batch.pos[row], batch.n_seq_id[row], batch.seq_id[row][0] = places[row], 1, sequences[row]
                batch.logits[row] = read > 0 and (row + 1) % read == 0
            refused = self._c.llama_decode(self._context, batch)
        finally:
            self._c.llama_batch_free(batch)
        if refused:
            raise RuntimeError(f"llama.cpp did not compute {len(what)} tokens: error {refused}")
        if not read:
            return np.empty((0, self._words), np.float32)
        rows = len(what) // read
        return np.ctypeslib.as_array(self._c.llama_get_logits(self._context), (rows, self._words)).copy()

    def _see(self, chunk: Any) -> Floats:
        """A picture's tokens (image tokens, D)."""
        if self._m.mtmd_encode_chunk(self._eyes, chunk):
            raise RuntimeError("llama.cpp did not encode the picture")
        shape = (self._prompt.image_tokens, self._width)
        return np.ctypeslib.as_array(self._m.mtmd_get_output_embd(self._eyes), shape).copy()

    def _prepared(self, picture: NDArray[np.uint8]) -> tuple[Any, Any]:
        """(what to free, the picture alone): llama.cpp adds tiles and words that the prompt does not have."""
        data = picture.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
        bitmap = self._m.mtmd_bitmap_init(picture.shape[1], picture.shape[0], data)
        marker = self._m.mtmd_default_marker()
        text = self._m.mtmd_input_text(marker, len(marker), False, True)
        chunks = self._m.mtmd_input_chunks_init()
        bitmaps = (self._m.mtmd_bitmap_p_ctypes * 1)(bitmap)
        refused = self._m.mtmd_tokenize(self._eyes, chunks, ctypes.byref(text), bitmaps, 1)
        self._m.mtmd_bitmap_free(bitmap)
        parts = [self._m.mtmd_input_chunks_get(chunks, at) for at in range(self._m.mtmd_input_chunks_size(chunks))]
        pictures = [one for one in parts if self._m.mtmd_input_chunk_get_type(one) == _PICTURE]
        if refused or not pictures:
            raise RuntimeError(f"llama.cpp did not take the picture: error {refused}")
        found = int(self._m.mtmd_input_chunk_get_n_tokens(pictures[0]))
        if found != self._prompt.image_tokens:
            raise RuntimeError(f"the prompt has {self._prompt.image_tokens} tokens for a picture, llama.cpp {found}")
        return chunks, pictures[0]

    def _settings(self, longest_answer: int) -> Any:
        wanted = self._c.llama_context_default_params()
        length = self._answer_start + longest_answer
        sequences, fed = self._pace.batch + 1, self._pace.batch * self._prompt.image_tokens
        wanted.n_ctx = sequences * length if self._pace.shared_cache else sequences * -(-length // 256) * 256
        wanted.n_batch = wanted.n_ubatch = max(fed, 64)
        wanted.n_seq_max = sequences
        wanted.n_threads = wanted.n_threads_batch = self._pace.threads
        wanted.flash_attn_type = int(self._pace.flash)
        wanted.kv_unified = self._pace.shared_cache
        wanted.no_perf = True
        return wanted

    def _open_eyes(self, files: GgufFiles) -> Any:
        wanted = self._m.mtmd_context_params_default()
        wanted.use_gpu = wanted.print_timings = False
        wanted.n_threads = self._pace.threads
        wanted.flash_attn_type = int(self._pace.flash)
        return self._m.mtmd_init_from_file(str(files.vision).encode(), self._model, wanted)


def quantize(source: Path, kind: str, written: Path) -> Path:
    """Round the numbers of a GGUF file as llama.cpp does it; a file that is there already is kept.

    Raises:
        RuntimeError: it did not do it.
    """
    if not written.is_file():
        library, _ = _libraries()
        wanted = library.llama_model_quantize_default_params()
        wanted.ftype = ROUNDED[kind]
        half = written.with_suffix(".half")
        if library.llama_model_quantize(str(source).encode(), str(half).encode(), wanted):
            raise RuntimeError(f"llama.cpp did not quantize {source} to {kind}")
        half.rename(written)
    return written


@cache
def _libraries() -> tuple[Any, Any]:
    """llama.cpp and its part for pictures, telling nothing but errors."""
    text, pictures = (importlib.import_module(f"llama_cpp.{name}") for name in ("llama_cpp", "mtmd_cpp"))

    def tell(level: int, line: bytes, _: Any) -> None:
        if level == _ERROR:
            print(line.decode(errors="replace"), end="", flush=True)

    _KEPT.append(text.llama_log_callback(tell))
    for told in (text.llama_log_set, pictures.mtmd_log_set, pictures.mtmd_helper_log_set):
        told(_KEPT[0], ctypes.c_void_p(0))
    text.llama_backend_init()
    return text, pictures


def _made(pointer: Any, source: object) -> Any:
    if not pointer:
        raise RuntimeError(f"llama.cpp could not open {source}")
    return pointer


def _log_softmax(logits: Floats) -> NDArray[np.float64]:
    exact = logits.astype(np.float64)
    exact -= exact.max(1, keepdims=True)
    return np.asarray(exact - np.log(np.exp(exact).sum(1, keepdims=True)))
