"""The mask of a grammar over tokenizers of every make: whatever is picked of what it leaves, the sentence is right."""

import json
import random
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from llguidance import LLMatcher
from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, trainers
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from monitor.errors import BadInputError
from monitor.rubric import load_rubric
from monitor.vlm.checkpoint.speaking import GrammarMask, _open_tokens
from monitor.vlm.sentences import as_lark, labels_of, sentences

RUBRIC = load_rubric("attention")
TEXTS = [label.definition for label in RUBRIC.labels] + [
    "at the screen, at paper, elsewhere: not, or perhaps also; in the picture the gaze goes far up, down, left, right"
]
SPECIAL = ["<pad>", "<s>", "</s>", "<unk>", "<image>"]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.,;▁"
SPACES = decoders.Sequence(
    [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
)


def small_letters() -> Tokenizer:
    """As the embedded model's: small letters, a space before each piece."""
    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def gpt2() -> Tokenizer:
    """As SmolVLM's."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def qwen() -> Tokenizer:
    """As Qwen's: normalised, split by a pattern, then bytes."""
    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(Regex(r" ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+"), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def llama() -> Tokenizer:
    """As LLaVA's: sentencepiece, its spaces written by the normaliser."""
    tokenizer = Tokenizer(BPE(byte_fallback=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = SPACES
    return tokenizer


def metaspace() -> Tokenizer:
    """Sentencepiece as newer files have it."""
    tokenizer = Tokenizer(BPE(byte_fallback=True, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = SPACES
    return tokenizer


def trained(tokenizer: Tokenizer) -> Any:
    """With a vocabulary of its own, under the interface of transformers."""
    in_bytes = not tokenizer.model.byte_fallback
    alphabet = pre_tokenizers.ByteLevel.alphabet() if in_bytes else list(LETTERS)
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=SPECIAL, initial_alphabet=sorted(alphabet), show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS * 5, trainer)
    if not in_bytes:
        told = json.loads(tokenizer.to_str())
        vocabulary = told["model"]["vocab"]
        vocabulary.update({f"<0x{byte:02X}>": len(vocabulary) + byte for byte in range(256)})
        tokenizer = Tokenizer.from_str(json.dumps(told))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", pad_token="<pad>", unk_token="<unk>")


@pytest.mark.parametrize("make", [small_letters, gpt2, qwen, llama, metaspace])
def test_whatever_is_picked_the_sentence_claims_its_label(make: Any) -> None:
    tokenizer = trained(make())
    width = len(tokenizer) + 7  # models have more rows than their tokenizer has tokens
    core = SimpleNamespace(get_output_embeddings=lambda: SimpleNamespace(weight=torch.zeros(width, 1)))
    tokens, rng = _open_tokens(tokenizer, core, 2, "m"), random.Random(0)
    torch.manual_seed(0)
    for _ in range(25):
        name, lead, sure = rng.choice(RUBRIC.names), rng.choice(["", " "]), rng.random() < 0.5
        lark = as_lark(sentences(RUBRIC, name, sure=sure), lead)
        mask, ids = GrammarMask([LLMatcher(tokens, LLMatcher.grammar_from_lark(lark))], 2), [1]
        while ids[-1] != 2:
            ids.append(int(mask(torch.tensor([ids]), torch.randn(1, width))[0].argmax()))
        sentence = tokens.decode_str(ids[1:-1])[len(lead) :]
        assert labels_of(sentence, RUBRIC) == [name]


def test_a_tokenizer_that_no_grammar_can_work_with_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"m: its tokenizer has no tokenizer\.json"):
        _open_tokens(SimpleNamespace(), None, 2, "m")


def test_a_model_that_answers_no_numbers_is_told() -> None:
    with pytest.raises(BadInputError, match="no numbers"):
        GrammarMask([], 2)(torch.zeros(1, 1), torch.full((1, 9), torch.nan))
