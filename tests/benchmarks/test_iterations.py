"""The talk's experiment: its plan, sets, baselines and table, without training a language model."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.iterations.arms import Unique
from benchmarks.iterations.baselines import PoseRule, SmallNet, ask_cnn, fit_pose_rule, train_cnn
from benchmarks.iterations.plan import ARMS, Cnn, Data, read_plan
from benchmarks.iterations.sets import test_sets as make_sets
from benchmarks.iterations.table import Table, weighted
from monitor.errors import BadInputError
from monitor.rubric import load_rubric
from tests.trainer.linear_engine import squares
from tests.trainer.shards import write_shard
from trainer.corpora.record import PictureSet
from trainer.round_parts import Parts

PLANS = Path(__file__).parents[2] / "benchmarks" / "iterations"
RUBRIC = load_rubric("attention")
DATA = Data(prior=(0.6, 0.3, 0.1))


def parts() -> Parts:
    learned = squares(24, 1, "t")
    return Parts(learned, tuple(f"i{row}" for row in range(24)), squares(60, 2, "s"), squares(240, 3, "f"))


@pytest.mark.parametrize(("name", "seeds"), [("plan.toml", (0, 1, 2)), ("plan-quick.toml", (0, 1, 2))])
def test_the_shipped_plans_read(name: str, seeds: tuple[int, ...]) -> None:
    text = (PLANS / name).read_text(encoding="utf-8")
    assert text.startswith(f"# python -m benchmarks.iterations --plan benchmarks/iterations/{name} ")
    plan = read_plan(PLANS / name)
    assert plan.arms == ARMS
    assert plan.seeds == seeds
    assert (plan.preference.beta, plan.preference.gamma, plan.pairs.extra_share) == (0.1, 0.5, 0.3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = 'x'\narms = ['sft-specific', 'magic']", "unknown arm 'magic'"),
        ("name = 'x'\n[methods.kto]\nrate = 1", "unknown key 'rate'"),
        ("name = 'x'\n[cnn]\ndepth = 1", "unknown key 'depth'"),
        ("rounds = 3", "'name' must be a text"),
    ],
)
def test_a_bad_plan_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "plan.toml").write_text(text, encoding="utf-8")
    with pytest.raises(BadInputError, match=message):
        read_plan(tmp_path / "plan.toml")


def test_sets_are_of_final_people_and_shaped_as_named(tmp_path: Path) -> None:
    write_shard(tmp_path / "elsewhere", 0, 24)
    given = parts()
    data = Data(prior=(0.6, 0.3, 0.1), others=(f"heldout={tmp_path / 'elsewhere'}",))
    sets = make_sets(given, data, RUBRIC, None)
    assert list(sets) == ["selection", "final", "balanced", "imbalanced", "heldout"]
    final = set(given.final.persons)
    assert all(set(sets[name].persons) <= final for name in ("final", "balanced", "imbalanced"))
    shares = np.bincount(sets["imbalanced"].labels) / len(sets["imbalanced"])
    np.testing.assert_allclose(shares, [0.6, 0.3, 0.1], atol=0.02)
    assert sets["heldout"].images_rgb.shape[1] == 32
    with pytest.raises(BadInputError, match="name=folder"):
        make_sets(given, Data(prior=DATA.prior, others=("hard=x",)), RUBRIC, None)


def posed(pictures: PictureSet) -> PictureSet:
    """Heads that point where the label says: ahead, down, aside."""
    yaw_pitch = np.array([[0, 0], [0, 40], [50, 0]], dtype=np.float32)[pictures.labels]
    noise = np.random.default_rng(0).normal(0, 4, yaw_pitch.shape).astype(np.float32)
    pictures.angles_deg[:, :2] = yaw_pitch + noise
    return pictures


def test_the_pose_rule_reads_the_head_and_nothing_else() -> None:
    rule = fit_pose_rule(posed(squares(60, 1, "t")), 3)
    others = posed(squares(60, 2, "f"))
    answers = rule.ask(others)
    assert answers is not None
    assert (answers == others.labels).mean() > 0.95
    assert rule.ask(squares(6, 2, "f")) is None, "no angles, no answer"
    assert PoseRule(rule.weights).weights.shape == (6, 3)


def test_the_convolutional_baseline_learns_and_repeats_itself() -> None:
    assert 0.6e6 < sum(weight.numel() for weight in SmallNet(3).parameters()) < 0.8e6
    train = squares(48, 1, "t", contrast=200)
    few = Cnn(epochs=2, batch_size=16)
    one, steps = train_cnn(train, 3, few, seed=0)
    two, _ = train_cnn(train, 3, few, seed=0)
    assert steps == 6
    np.testing.assert_array_equal(ask_cnn(one, train.images_rgb), ask_cnn(two, train.images_rgb))


def test_pictures_that_are_in_several_sets_are_asked_about_once() -> None:
    sets = make_sets(parts(), DATA, RUBRIC, None)
    unique = Unique(sets)
    assert len(unique.images_rgb) == len(sets["selection"]) + len(sets["final"])
    brightness = unique.images_rgb.astype(np.int64).sum(axis=(1, 2, 3))
    for name, answers in unique.spread(brightness).items():
        np.testing.assert_array_equal(answers, sets[name].images_rgb.astype(np.int64).sum(axis=(1, 2, 3)))


def noisy(pictures: PictureSet, wrong: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(len(pictures)) < wrong, (pictures.labels + 1) % 3, pictures.labels)


def test_the_table_measures_rounds_against_the_supervised_arm_that_selection_prefers() -> None:
    sets = make_sets(parts(), DATA, RUBRIC, None)
    wrong = {"sft-specific": 0.4, "sft-longer": 0.3, "rounds-hadpo": 0.1, "once-dpo": 0.1, "inverted-dpo": 0.3}
    answers = {
        (arm, seed): {name: noisy(pictures, share, seed) for name, pictures in sets.items()}
        for arm, share in wrong.items()
        for seed in (0, 1)
    }
    table = Table(sets, 3, answers, DATA.prior)
    assert table.best_sft(0) == table.best_sft(1) == "sft-longer"
    found = table.figures("rounds-hadpo", "final")
    assert found is not None
    assert found.over_sft is not None
    assert found.value.value == pytest.approx(0.9, abs=0.05)
    assert 0 < found.over_sft.low < found.over_sft.value < found.over_sft.high
    longer = table.figures("sft-longer", "final")
    assert longer is not None
    assert longer.over_sft is None
    assert table.figures("cnn", "final") is None
    told = table.headline()
    assert told["gain_deployed"] == pytest.approx(20, abs=8)
    assert told["gain_balanced"] == pytest.approx(20, abs=6)
    assert told["dpo_loses_by_inversion"] == pytest.approx(20, abs=6)
    assert told["robust_loses_by_inversion"] is None
    lines = table.markdown().splitlines()
    assert lines[0] == "| arm | final | balanced | imbalanced | deployed |"
    assert len(lines) == 2 + len(wrong)


def test_the_deployed_mix_is_that_of_the_prior_whoever_was_drawn() -> None:
    once = np.array([[8, 2, 0], [5, 15, 0], [0, 1, 1]])
    mixed = weighted(np.stack([once, once * [[1], [1], [7]]]), np.array([0.7, 0.2, 0.1]))
    np.testing.assert_array_equal(mixed[0], [[560_000, 140_000, 0], [50_000, 150_000, 0], [0, 50_000, 50_000]])
    np.testing.assert_array_equal(mixed[1], mixed[0])
