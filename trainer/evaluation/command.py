"""What `classroom evaluate` does with its options, and the few lines it says at the end. It knows no terminal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from monitor.errors import BadInputError
from monitor.rubric import Rubric
from trainer.evaluation.embedding import open_embedder
from trainer.evaluation.evaluation import Evaluation
from trainer.evaluation.judge import JudgeSettings
from trainer.evaluation.run import Extras, Tell, run_evaluation
from trainer.evaluation.settings import EvaluationSettings
from trainer.evaluation.written import REPORT_FILE


@dataclass(frozen=True, slots=True)
class Wishes:
    """The command's options beside model, data, out and rubric; see `classroom evaluate --help`."""

    part: str = ""
    kind: str = "auto"
    adapter: Path | None = None
    quantize: str | None = None
    against: Path | None = None
    against_adapter: Path | None = None
    validation: Path | None = None
    limit: int = 0
    draws: int = 1000
    quick: bool = False
    judge: str | None = None
    judge_model: str = ""
    embedder: Path | None = None


def evaluate_from_command(
    model: str, data: Path, out: Path, rubric: Rubric, wishes: Wishes, tell: Tell | None = None
) -> str:
    """Evaluate, write the files, and return what to say.

    Raises:
        ClassroomError: whatever a person can mend.
    """
    if wishes.judge and not wishes.judge_model:
        raise BadInputError(f"--judge {wishes.judge}: name its model too, with --judge-model.")
    if wishes.judge and wishes.quick:
        raise BadInputError("--quick asks for no free answers, so that --judge would have nothing to mark; drop one.")
    settings = EvaluationSettings(
        draws=wishes.draws,
        limit=wishes.limit,
        consistency=not wishes.quick,
        probes=not wishes.quick,
        free_answers=0 if wishes.quick else EvaluationSettings().free_answers,
    )
    extras = Extras(
        adapter=wishes.adapter,
        quantize=wishes.quantize,
        kind=wishes.kind,
        part=wishes.part,
        validation=wishes.validation,
        against=wishes.against,
        against_adapter=wishes.against_adapter,
        judge=JudgeSettings(wishes.judge, wishes.judge_model) if wishes.judge else None,
        embedder=open_embedder(wishes.embedder) if wishes.embedder else None,
    )
    return summary(run_evaluation(model, data, out, rubric, settings, extras, tell), out)


def summary(evaluation: Evaluation, out: Path) -> str:
    """The headline in a few lines, and where the rest is."""
    found, majority, data = evaluation.headline, evaluation.majority, evaluation.data
    lines = [
        f"{evaluation.model['model_id']}: {data['pictures']:,} pictures of {data['people']:,} people",
        *(
            f"{name:<20}{found[key].value:7.3f}   {found[key].low:.3f} to {found[key].high:.3f}   "
            f"commonest label {majority[key]:.3f}"
            for key, name in (("macro_f1", "macro-F1"), ("kappa", "kappa"), ("accuracy", "accuracy"))
        ),
    ]
    if evaluation.comparison:
        gain = evaluation.comparison.differences["macro_f1"]
        lines.append(f"against {evaluation.rival}: {gain.value:+.3f} macro-F1   {gain.low:+.3f} to {gain.high:+.3f}")
    if evaluation.collapse.collapsed:
        lines.append(f"collapsed: nearly all answers are {evaluation.rubric.names[evaluation.collapse.top]!r}")
    return "\n".join([*lines, f"Report: {out / REPORT_FILE}"])
