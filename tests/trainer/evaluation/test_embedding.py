"""Sentence vectors from a tiny encoder built here; nothing is downloaded."""

from pathlib import Path

import pytest
from transformers import BertConfig, BertModel

from monitor.errors import BadInputError
from trainer.evaluation.embedding import open_embedder
from trainer.evaluation.similarity import compare_texts
from trainer.tokenizer import for_transformers, train_tokenizer


def test_a_local_encoder_gives_cosines(tmp_path: Path) -> None:
    tokenizer = train_tokenizer()
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=64,
    )  # fmt: skip
    BertModel(config).save_pretrained(tmp_path)
    for_transformers(tokenizer).save_pretrained(tmp_path)
    embed = open_embedder(tmp_path)
    vectors = embed(["at paper", "at the screen, or so it seems", "at paper"])
    assert vectors.shape == (3, 16)
    assert vectors[0] == pytest.approx(vectors[2], abs=1e-6), "padding beside a longer text changes nothing"
    assert vectors[0] == pytest.approx(embed(["at paper"])[0], abs=1e-6)
    found = compare_texts(["at paper", "elsewhere"], [["at paper"], ["at the screen"]], embed)
    assert found.embedding is not None and 0.5 < found.embedding < 1.0


def test_a_folder_without_an_encoder_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"config\.json is missing"):
        open_embedder(tmp_path)
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BadInputError, match="not a text encoder"):
        open_embedder(tmp_path)
