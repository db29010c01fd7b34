"""From paths to files: a bundle, a tiny checkpoint with and without an adapter, and a model of a test's own."""

import csv
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from classroom import app
from monitor.errors import BadInputError, BundleError
from monitor.rubric import Rubric, load_rubric
from tests.monitor.bundles import write_bundle
from tests.trainer.evaluation.colors import EACH, PEOPLE, RUBRIC, ColorModel, write_pictures
from tests.trainer.evaluation.test_judge import server, strict
from tests.trainer.policies import write_base
from trainer.corpora.open import open_corpus
from trainer.evaluation.command import Wishes, evaluate_from_command
from trainer.evaluation.evaluation import Beside, Elsewhere, Evaluation, Rival
from trainer.evaluation.gather import Evidence
from trainer.evaluation.judge import Judge, JudgeSettings
from trainer.evaluation.report_html import report_html
from trainer.evaluation.run import Extras, choose_items, evaluate_model, run_evaluation
from trainer.evaluation.settings import EvaluationSettings
from trainer.evaluation.written import figures_json

QUICK = EvaluationSettings(draws=50, batch_size=16)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def judged(pictures: Path) -> tuple[Evaluation, Evidence]:
    """Everything at once: every section has figures."""
    corpus = open_corpus(pictures, RUBRIC)

    def rival(evidence: Evidence) -> Rival:
        return Rival("constant <b>", np.zeros_like(evidence.truth))

    with server(strict) as (url, _):
        beside = Beside(
            elsewhere=Elsewhere("another set", np.array([[9, 1, 0], [0, 9, 4], [1, 0, 9]])),
            rival=rival,
            judge=Judge(JudgeSettings(url, "tiny")),
            embedder=lambda texts: np.array([[len(text), 1.0] for text in texts]),
            set_name="pictures & <i>",
        )
        return evaluate_model(ColorModel(), corpus, corpus.items, RUBRIC, QUICK, beside=beside)


def test_a_bundle_from_path_to_files(pictures: Path, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    told: list[tuple[str, int, int]] = []
    evaluation = run_evaluation(
        str(bundle), pictures, tmp_path / "out", RUBRIC, QUICK, tell=lambda *one: told.append(one)
    )
    papers = PEOPLE * EACH // 3
    as_wander = papers // 3
    expected = [[papers, 0, 0], [0, papers - as_wander, as_wander], [0, 0, papers]]
    assert evaluation.confusion.tolist() == expected, "rows the truth, columns what it really said"
    written = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    assert written["confusion"] == expected and written["headline"]["macro_f1"]["value"] == pytest.approx(
        evaluation.headline["macro_f1"].value, abs=1e-5
    )
    assert written["probes"] is None and written["own_threshold"]["threshold"] == pytest.approx(0.6)
    assert any("a bundle" in note for note in written["notes"])
    assert {one["run"]["kind"] for one in written["consistency"]["runs"]} == {"picture"}
    rows = list(csv.DictReader((tmp_path / "out" / "predictions.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == PEOPLE * EACH and sum(row["truth"] != row["predicted"] for row in rows) == as_wander
    assert told[-1] == ("colors-1", PEOPLE * EACH, PEOPLE * EACH)
    assert (tmp_path / "out" / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_checkpoint_with_and_without_an_adapter_against_each_other(pictures: Path, tmp_path: Path) -> None:
    from trainer.policy import load_policy

    base = write_base(tmp_path / "base")
    policy = load_policy(base, trainable="lora")
    for name, weight in policy.trained().items():
        if "lora_B" in name:
            weight.data += 0.5
    adapter = policy.save_adapter(tmp_path / "adapter")
    settings = replace(QUICK, limit=20, free_answers=5)
    plain = run_evaluation(str(base), pictures, tmp_path / "plain", RUBRIC, settings)
    assert plain.probes is not None and plain.consistency is not None and plain.model["model_id"] == "test-0"
    assert {one.run.kind for one in plain.consistency.runs} == {"question", "answer", "picture", "generic"}
    assert plain.free_answers[0].similarity.answers == 5 and plain.data["people"] < PEOPLE
    extras = Extras(adapter=adapter, against=tmp_path / "plain")
    trained = run_evaluation(str(base), pictures, tmp_path / "trained", RUBRIC, settings, extras)
    again = run_evaluation(str(base), pictures, tmp_path / "again", RUBRIC, settings, replace(extras, against=base))
    assert trained.comparison is not None and trained.rival == "test-0"
    assert again.comparison == trained.comparison, "a model or its earlier answers: the same comparison"
    assert "adapter" in trained.model["Adapter"]
    only = trained.comparison.only_this_right - trained.comparison.only_other_right
    assert only == int(np.trace(trained.confusion) - np.trace(plain.confusion))


def test_the_shared_features_change_no_score(pictures: Path, tmp_path: Path) -> None:
    from trainer.evaluation.answerer import PolicyAnswerer
    from trainer.policy import load_policy

    policy = load_policy(write_base(tmp_path / "base"))
    corpus = open_corpus(pictures, RUBRIC)
    images = corpus.load(corpus.items[:5], policy.side_px).images_rgb
    answerer, phrases = PolicyAnswerer(policy, "x"), [label.phrase for label in RUBRIC.labels]
    for shown in (images, images, 255 - images, images.copy()):
        expected = policy.score(shown, RUBRIC.question, phrases)
        assert answerer.score(shown, RUBRIC.question, phrases) == pytest.approx(expected, abs=1e-6)


def test_every_section_has_its_figures(judged: tuple[Evaluation, Evidence]) -> None:
    evaluation, evidence = judged
    assert evaluation.probes is not None and evaluation.probes.adversarial_from == "another set"
    assert set(evaluation.probes.strategies) == {"random", "popular", "adversarial"}
    assert evaluation.probes.agreement == 1.0
    assert evaluation.null.testable and evaluation.null.p_value < 0.05
    assert evaluation.groups[0].name == "glasses" and evaluation.own_threshold is not None
    (spoken,) = evaluation.free_answers
    assert spoken.accuracy == pytest.approx(evaluation.headline["accuracy"].value) and spoken.unreadable == 0.0
    assert spoken.similarity.embedding is not None and spoken.correctness is not None
    assert evaluation.judged is not None and not evaluation.judged.trouble
    assert evaluation.judged.consistency is not None and evaluation.judged.consistency.mean == 5.0
    assert evaluation.comparison is not None and evaluation.comparison.differences["kappa"].low > 0
    assert evaluation.consistency is not None
    generic = [one for one in evaluation.consistency.runs if one.run.kind == "generic"]
    assert generic[0].macro_f1.value < evaluation.headline["macro_f1"].value
    assert evaluation.notes == () and len(evidence.item_ids) == PEOPLE * EACH


def test_the_judge_is_in_no_headline(judged: tuple[Evaluation, Evidence]) -> None:
    evaluation, _ = judged
    assert not any("judge" in name for name in evaluation.headline)
    page = report_html(evaluation)
    assert "judge" not in page[: page.index("All figures")].casefold()


class _Tags(HTMLParser):
    """Checks that tags close in order, and collects what they point to."""

    VOID = frozenset({"meta", "br", "link", "img"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_the_page_needs_nothing_and_escapes_everything(judged: tuple[Evaluation, Evidence]) -> None:
    evaluation, _ = judged
    hostile = replace(
        evaluation,
        model={"model_id": "<script>alert(1)</script>", "Kind": 'x" onload="y'},
        data={**evaluation.data, "skipped": ["<img src=x>: gone"]},
    )
    page = report_html(hostile)
    tags = _Tags()
    tags.feed(page)
    assert not tags.open
    assert not {"script", "img", "link", "i"} & {tag for tag, _ in tags.seen} - {"i"}
    for _, attributes in tags.seen:
        assert not {"src", "href", "onload", "onclick"} & set(attributes)
    assert "&lt;script&gt;" in page and "constant &lt;b&gt;" in page and "pictures &amp; &lt;i&gt;" in page
    assert "http" not in page.replace("http-equiv", "")
    assert "nan" not in page.casefold().replace("finance", "")


def test_the_same_evaluation_gives_the_same_bytes(pictures: Path) -> None:
    corpus = open_corpus(pictures, RUBRIC)
    first, second = (evaluate_model(ColorModel(), corpus, corpus.items, RUBRIC, QUICK)[0] for _ in range(2))
    untimed = [replace(one, data={**one.data, "ms_per_picture": 1.0}) for one in (first, second)]
    assert figures_json(untimed[0]) == figures_json(untimed[1])
    assert report_html(untimed[0]) == report_html(untimed[1])


def test_a_judge_that_fails_leaves_the_rest(pictures: Path) -> None:
    corpus = open_corpus(pictures, RUBRIC)
    with server(lambda body: (401, "who are you")) as (url, _):
        beside = Beside(judge=Judge(JudgeSettings(url, "tiny")))
        found, _ = evaluate_model(ColorModel(), corpus, corpus.items, RUBRIC, QUICK, beside=beside)
    assert found.judged is not None and "401" in found.judged.trouble and found.free_answers[0].correctness is None
    assert any("401" in note for note in found.notes)
    assert "401" in report_html(found)


def test_one_person_alone_gives_a_report_that_says_so(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "one", people=1, wrong=0)
    corpus = open_corpus(folder, RUBRIC)
    found, _ = evaluate_model(ColorModel(), corpus, corpus.items, RUBRIC, QUICK)
    assert found.calibration.temperatures == () and found.abstention.chosen is None
    assert found.probes is not None and "adversarial" not in found.probes.strategies
    assert any("One person" in note for note in found.notes) and any("Only 1 person:" in note for note in found.notes)
    assert json.loads(figures_json(found))["calibration"]["scaled_ece"] is None
    assert "<svg" in report_html(found)


def test_a_scale_of_four_labels_fits_the_page(tmp_path: Path) -> None:
    """An affect rubric: no probes, four labels, and a null figure where a label never occurs."""
    rubric = load_rubric("engagenet", research=True)
    folder = write_pictures(tmp_path / "four", people=4)
    table = (folder / "labels.csv").read_text(encoding="utf-8")
    for old, new in zip(RUBRIC.names, rubric.names[1:], strict=True):
        table = table.replace(f",{old},", f",{new},")
    (folder / "labels.csv").write_text(table, encoding="utf-8")
    corpus = open_corpus(folder, rubric)

    class Four(ColorModel):
        def score(self, images_rgb: Any, question: str, phrases: Any) -> Any:
            three = super().score(images_rgb, RUBRIC.question, phrases[1:])
            return np.concatenate([np.full((len(three), 1), -50.0), three], axis=1)

    found, _ = evaluate_model(Four(), corpus, corpus.items, rubric, QUICK)
    assert found.probes is None and not found.labels[0].f1.known and found.labels[0].pictures == 0
    assert json.loads(figures_json(found))["labels"][0]["f1"]["value"] is None
    assert "not defined" not in report_html(found)[:200]


def test_what_cannot_be_evaluated_is_named(pictures: Path, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")

    def attempt(data: Path = pictures, rubric: Rubric = RUBRIC, model: Path = bundle, **extras: Any) -> None:
        run_evaluation(str(model), data, tmp_path / "never", rubric, QUICK, Extras(**extras))

    with pytest.raises(BadInputError, match="need a checkpoint"):
        attempt(adapter=tmp_path)
    with pytest.raises(BundleError, match="no such folder"):
        attempt(model=tmp_path / "nothing")
    with pytest.raises(BadInputError, match="no such corpus"):
        attempt(data=tmp_path / "nothing")
    with pytest.raises(BadInputError, match="people are in the evaluated set too"):
        attempt(validation=pictures)
    with pytest.raises(BadInputError, match="part 'test'; its parts are none"):
        attempt(part="test")
    with pytest.raises(BadInputError, match="expected an address"):
        attempt(judge=JudgeSettings("nowhere", "m"))
    one_class = write_pictures(tmp_path / "class", people=2)
    rows = [row for row in (one_class / "labels.csv").read_text(encoding="utf-8").splitlines() if "paper" not in row]
    (one_class / "labels.csv").write_text("\n".join(row for row in rows if "wander" not in row), encoding="utf-8")
    with pytest.raises(BadInputError, match="'screen'"):
        attempt(data=one_class)
    others = write_pictures(tmp_path / "others", people=3, prefix="q")
    run_evaluation(str(bundle), others, tmp_path / "of-others", RUBRIC, QUICK, Extras(validation=pictures))
    with pytest.raises(BadInputError, match="have no answer there"):
        attempt(against=tmp_path / "of-others")
    assert not (tmp_path / "never").exists()


def test_a_limit_takes_whole_people(pictures: Path) -> None:
    corpus = open_corpus(pictures, RUBRIC)
    chosen = choose_items(corpus, "", replace(QUICK, limit=10))
    people = {item.person for item in chosen}
    assert len(people) == 2 and len(chosen) == 2 * EACH
    assert people != {item.person for item in choose_items(corpus, "", replace(QUICK, limit=10, seed=1))}


def test_the_command_says_the_headline_and_where_the_report_is(pictures: Path, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    arguments = [str(bundle), str(pictures), "--out", str(tmp_path / "out"), "--draws", "20", "--quick", "--quiet"]
    result = CliRunner().invoke(app, ["evaluate", *arguments])
    assert result.exit_code == 0, result.output
    assert "macro-F1" in result.output and "report.html" in result.output
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))["consistency"] is None
    with pytest.raises(BadInputError, match="--judge-model"):
        evaluate_from_command("x", pictures, tmp_path, RUBRIC, Wishes(judge="http://localhost:1/v1"))
    with pytest.raises(BadInputError, match="drop one"):
        wishes = Wishes(judge="http://localhost:1/v1", judge_model="m", quick=True)
        evaluate_from_command("x", pictures, tmp_path, RUBRIC, wishes)
