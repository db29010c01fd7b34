"""Writes a checkpoint as llama.cpp reads it, one GGUF file for the text and one for the pictures, by its own converter.

That program (`convert_hf_to_gguf.py`, in the sources of llama.cpp and of llama-cpp-python) is not told of the words: it
knows only published tokenizers, and who asks by token numbers needs none. It gets a table of the right size instead.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from monitor.errors import BadInputError

CONVERTED = ("f32", "f16", "bf16", "q8_0")
"""Kinds of numbers that the converter writes."""
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


@dataclass(frozen=True, slots=True)
class GgufFiles:
    """A checkpoint for llama.cpp."""

    text: Path
    vision: Path

    @property
    def size_bytes(self) -> int:
        """Of both together."""
        return self.text.stat().st_size + self.vision.stat().st_size


def write_gguf(checkpoint: Path, converter: Path, kind: str, folder: Path) -> GgufFiles:
    """Convert a checkpoint; a file that is there already is kept.

    Args:
        checkpoint: a folder in the trainer's layout.
        converter: llama.cpp's `convert_hf_to_gguf.py`.
        kind: one of `CONVERTED`.
        folder: where the files go.

    Raises:
        BadInputError: the converter is not there, or did not do it.
    """
    if not converter.is_file():
        raise BadInputError(f"{converter}: no such file; give convert_hf_to_gguf.py of llama.cpp's sources")
    folder.mkdir(parents=True, exist_ok=True)
    told = retell(checkpoint, folder / "checkpoint")
    files = GgufFiles(folder / f"text-{kind}.gguf", folder / f"vision-{kind}.gguf")
    _convert(converter, told, files.text, ["--outtype", kind])
    _convert(converter, told, files.vision, ["--outtype", kind, "--mmproj"])
    return files


def _convert(converter: Path, checkpoint: Path, written: Path, options: list[str]) -> None:
    if written.is_file():
        return
    half = written.with_suffix(".half")
    command = [sys.executable, str(converter), str(checkpoint), "--outfile", str(half), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not half.is_file():
        raise BadInputError(
            f"{converter} could not convert {checkpoint}; it needs `pip install gguf sentencepiece`. "
            f"It said:\n{done.stderr[-1500:]}"
        )
    half.rename(written)


def retell(checkpoint: Path, folder: Path) -> Path:
    """Write into a folder the same weights, described as the converter expects a SmolVLM to be."""
    folder.mkdir(exist_ok=True)
    weights = folder / "model.safetensors"
    weights.unlink(missing_ok=True)
    weights.symlink_to((checkpoint / weights.name).resolve())
    card = json.loads((checkpoint / "classroom.json").read_text(encoding="utf-8"))
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    # What SmolVLM's published configuration calls its text model; without a name the converter knows none.
    config["text_config"]["architectures"] = ["VLlama3ForCausalLM"]
    picture = {"image_mean": card["mean"], "image_std": card["std"], "size": {"longest_edge": card["image_size"]}}
    told = {
        "config.json": config,
        "preprocessor_config.json": picture,
        "tokenizer.json": _numbered_words(config["text_config"]["vocab_size"]),
        "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast"},
    }
    for name, content in told.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder


def _numbered_words(count: int) -> dict[str, object]:
    """A tokenizer of so many words that mean nothing, of the kind of which the converter asks least."""
    words = ["<s>", "</s>", *_BYTES]
    words += [f"word{number}" for number in range(len(words), count)]
    return {
        "version": "1.0",
        "added_tokens": [],
        "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}]},
        "model": {
            "type": "BPE",
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": {word: number for number, word in enumerate(words[:count])},
            "merges": [],
        },
    }
