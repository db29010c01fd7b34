"""Questions and answers about pictures: true, in the prompt's own form, and scored where the answer stands."""

import random

import pytest
import torch

from monitor.rubric import load_rubric
from monitor.vlm import prompt
from trainer.dialogue import IGNORED, Dialogue, answer_loss
from trainer.tokenizer import encode, token_id, train_tokenizer

TOKENIZER = train_tokenizer()
RUBRIC = load_rubric("attention")


@pytest.fixture
def dialogue() -> Dialogue:
    return Dialogue(RUBRIC, TOKENIZER, image_tokens=4)


@pytest.mark.parametrize(
    ("yaw", "pitch", "said"),
    [
        (0, 0, "straight ahead"),
        (5, 30, "down"),
        (-25, 20, "down and to the left"),
        (70, 0, "far to the right"),
        (-15, -50, "far up and to the left"),
    ],
)
def test_gaze_in_words(yaw: float, pitch: float, said: str) -> None:
    assert prompt.gaze_phrase(yaw, pitch) == said
    assert said in prompt.gaze_phrases()


def test_every_phrase_is_made_of_whole_words() -> None:
    for phrase in (*(label.phrase for label in RUBRIC.labels), *prompt.gaze_phrases()):
        assert len(encode(TOKENIZER, phrase)) == len(phrase.split())


def test_text_comes_back_folded_and_unknown_words_in_pieces() -> None:
    ids = encode(TOKENIZER, "Where is the Zyzzyva? ñ")
    assert TOKENIZER.decode(ids).strip() == "where is the zyzzyva? ñ"


def test_targets_are_the_answer_and_nothing_else(dialogue: Dialogue) -> None:
    ids, targets = dialogue.tokens([(RUBRIC.question, "at the screen"), ("Is the student looking at paper?", "no")])
    said = [int(target) for target in targets[0] if target != IGNORED]
    assert said == encode(TOKENIZER, prompt.answer_text("at the screen"))
    where = int((targets[0] != IGNORED).nonzero()[0])
    assert ids[0, where] == token_id(TOKENIZER, prompt.ANSWER)
    assert ids[1].tolist().count(token_id(TOKENIZER, prompt.IMAGE)) == 4


def test_probes_are_true_and_balanced(dialogue: Dialogue) -> None:
    rng = random.Random(0)
    turns = [dialogue.probe_turn(1, rng) for _ in range(400)]
    assert all((answer == "yes") == ("at paper" in question) for question, answer in turns)
    assert 150 < sum(answer == "yes" for _, answer in turns) < 250


def test_a_picture_without_a_label_is_asked_for_its_gaze_only(dialogue: Dialogue) -> None:
    turns = dialogue.turns(-1, (0.0, 30.0), random.Random(0))
    assert turns == [(prompt.GAZE_QUESTION, "down")]
    assert dialogue.turns(-1, (float("nan"), 30.0), random.Random(0)) == []


def test_the_loss_is_of_whole_answers() -> None:
    targets = torch.tensor([[IGNORED, 2, 3], [IGNORED, 1, IGNORED]])
    logits = torch.zeros(2, 3, 5)
    expected = 3 * torch.tensor(5.0).log() / 2
    assert torch.isclose(answer_loss(logits, targets), expected)
