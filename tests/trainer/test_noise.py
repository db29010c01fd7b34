"""The share of inverted pairs: found again where it is known, and made on purpose."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import BadInputError
from trainer.noise import DoubleLabel, estimate_noise, invert_pairs, wrong_share
from trainer.pairs import PreferencePair


def annotated(crops: int, error: float, model_error: float, seed: int = 0) -> tuple[list[DoubleLabel], float]:
    """Crops of people who err independently, and the true share of inverted pairs."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, crops)

    def says(rate: float) -> list[int]:
        errs = rng.random(crops) < rate
        return [int(label) for label in (truth + errs * rng.integers(1, 3, crops)) % 3]

    first, second, model = says(error), says(error), says(model_error)
    paired = [index for index in range(crops) if first[index] != model[index]]
    inverted = sum(model[index] == truth[index] for index in paired) / len(paired)
    labels = [DoubleLabel(f"p{index % 50}", first[index], second[index], model[index]) for index in range(crops)]
    return labels, inverted


@pytest.mark.parametrize(("error", "model_error"), [(0.05, 0.3), (0.1, 0.2), (0.02, 0.5)])
def test_the_share_of_inverted_pairs_is_found_again(error: float, model_error: float) -> None:
    crops, inverted = annotated(10_000, error, model_error)
    found = estimate_noise(crops, 3, draws=40)
    assert found.wrong_labels == pytest.approx(error, abs=0.012)
    assert found.epsilon == pytest.approx(inverted, abs=0.03)
    assert found.low <= found.epsilon <= found.high


def test_a_good_model_has_more_inverted_pairs_than_wrong_labels() -> None:
    crops, inverted = annotated(20_000, 0.05, 0.1)
    found = estimate_noise(crops, 3, draws=20)
    assert found.epsilon == pytest.approx(inverted, abs=0.03)
    assert found.epsilon > 3 * found.wrong_labels


def test_without_answers_the_share_of_wrong_labels_stands_for_it() -> None:
    crops, _ = annotated(5000, 0.1, 0.2)
    bare = [DoubleLabel(one.person, one.first, one.second) for one in crops]
    found = estimate_noise(bare, 3, draws=20)
    assert (found.epsilon, found.pairs) == (found.wrong_labels, 0)


def test_people_who_always_agree_invert_nothing() -> None:
    crops = [DoubleLabel(f"p{index}", index % 3, index % 3, (index + 1) % 3) for index in range(60)]
    found = estimate_noise(crops, 3)
    assert (found.disagreed, found.wrong_labels, found.epsilon) == (0.0, 0.0, 0.0)


@given(st.integers(2, 6), st.floats(0, 1))
def test_wrong_labels_explain_the_disagreement(labels: int, share: float) -> None:
    error = share * (labels - 1) / labels
    disagreed = 1 - (1 - error) ** 2 - error**2 / (labels - 1)
    assert wrong_share(disagreed, labels) == pytest.approx(error, abs=1e-6)


def test_too_few_crops_and_strange_labels_are_refused() -> None:
    few = [DoubleLabel("p", 0, 0)] * 29
    with pytest.raises(BadInputError, match="29 crops were annotated by two people"):
        estimate_noise(few, 3)
    with pytest.raises(BadInputError, match="label number 3"):
        estimate_noise([*few, DoubleLabel("p", 0, 3)], 3)


@given(st.integers(0, 50), st.floats(0, 1), st.integers(0, 5))
def test_exactly_the_share_is_inverted(count: int, share: float, seed: int) -> None:
    pairs = [PreferencePair(f"i{index}", index, "?", "right", "wrong") for index in range(count)]
    turned = invert_pairs(pairs, share, seed)
    assert sum(pair.chosen == "wrong" for pair in turned) == round(share * count)
    assert [pair.item_id for pair in turned] == [pair.item_id for pair in pairs]
    assert turned == invert_pairs(pairs, share, seed)
    with pytest.raises(BadInputError, match="must lie in 0 to 1"):
        invert_pairs(pairs, 1.01, seed)
