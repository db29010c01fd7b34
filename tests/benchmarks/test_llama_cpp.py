"""The benchmark against llama.cpp: what its converter is told, and that llama.cpp then says what transformers says.

The second needs llama-cpp-python, gguf and sentencepiece, and LLAMA_CPP_CONVERTER naming convert_hf_to_gguf.py.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from benchmarks.gguf_files import retell, write_gguf
from benchmarks.llama_cpp import compared, missing, read_question, varied_pixels
from benchmarks.llama_cpp_run import LlamaCpp, Pace, Prompt
from benchmarks.smolvlm_shapes import SHAPES, write_random
from monitor.errors import BadInputError
from monitor.rubric import load_rubric

RUBRIC = load_rubric("attention")
SHAPE = SHAPES["narrow-256m"]
CONVERTER = os.environ.get("LLAMA_CPP_CONVERTER", "")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random(tmp_path_factory.mktemp("checkpoint"), SHAPE, RUBRIC)


def test_the_converter_is_told_of_as_many_words_as_there_are_rows_and_of_the_same_weights(
    checkpoint: Path, tmp_path: Path
) -> None:
    told = retell(checkpoint, tmp_path / "told")
    words = Tokenizer.from_file(str(told / "tokenizer.json")).get_vocab()
    assert sorted(words.values()) == list(range(SHAPE.vocabulary))
    assert (told / "model.safetensors").samefile(checkpoint / "model.safetensors")
    picture = json.loads((told / "preprocessor_config.json").read_text(encoding="utf-8"))
    assert picture["size"] == {"longest_edge": SHAPE.image_size}


def test_without_a_converter_it_says_what_to_give(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"convert_hf_to_gguf\.py"):
        write_gguf(checkpoint, tmp_path / "nothing.py", "f32", tmp_path / "gguf")


def test_a_prompt_is_split_around_its_picture() -> None:
    assert Prompt.around([1, 8, 9, 4, 4, 4, 5], image_id=4) == Prompt([1, 8, 9], 3, [5])


def test_the_graphs_are_held_against_the_fastest() -> None:
    seconds = {"graphs": (2.0, 4.0), "q8_0 at 1": (1.0, 1.5), "q8_0 at 8": (6.0, 10.0)}
    found = compared(seconds, {"graphs": 8, "q8_0 at 1": 1, "q8_0 at 8": 8})
    assert found["ratio"] == 3.0  # 4 crops a second against 1.33
    assert found["ratio_work"] == 2.5  # half a second of work against 1.25
    assert found["crops_per_s"]["q8_0 at 1"] == 1.0


@pytest.mark.skipif(bool(missing()) or not CONVERTER, reason="needs llama-cpp-python, gguf, sentencepiece, a converter")
def test_llama_cpp_scores_as_transformers_does(checkpoint: Path, tmp_path: Path) -> None:
    pixels = varied_pixels(3, SHAPE.image_size)
    question = read_question(checkpoint, RUBRIC, pixels)
    answers, truth = question.answers, question.truth
    model = LlamaCpp(write_gguf(checkpoint, Path(CONVERTER), "f32", tmp_path), question.prompt, 8, Pace(1, 3))
    crops = model.prepare(pixels)
    found, alone = model.scores(crops, answers), model.scores(crops[1:2], answers)
    told, again = model.answer(crops, 3), model.answer(crops, 3)
    model.free(crops)
    model.close()
    assert np.ptp(truth, axis=0).min() > 1e-2, "the pictures matter"
    np.testing.assert_allclose(found, truth, atol=2e-3)  # its cache and its GELU are in half precision
    np.testing.assert_allclose(found[1:2], alone, atol=2e-3)
    assert told.shape == (3, 3) and (told == again).all()
