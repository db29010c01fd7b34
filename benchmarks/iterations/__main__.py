"""Runs the experiment, arm by arm and seed by seed; run again, it goes on with what is missing.

    python -m benchmarks.iterations --plan benchmarks/iterations/plan.toml [--real FOLDER] [--arms A,B] [--seeds 0,1]

Writes to the plan's folder: results.jsonl (one JSON object an arm and seed), answers/ (what each said to each set),
table.md (macro-F1 with 95 % intervals over students; behind it the difference to the best supervised arm, in points;
`deployed` are the final people weighed by the prior, which says the same as `imbalanced` with less chance in it).
`--real` names stills that are tested and nothing else. The last line is one JSON object: `gain_balanced`,
`gain_imbalanced`, `gain_deployed`, `gain_hard` (points of macro-F1 of the rounds over the best supervised arm), and
what `dpo` and `robust` lose by inverted pairs. `--table` only makes the table of what is there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from benchmarks.iterations.arms import Answers, Experiment, Result
from benchmarks.iterations.plan import Plan, read_plan
from benchmarks.iterations.sets import load_domain, test_sets
from benchmarks.iterations.table import Table
from monitor.errors import ClassroomError
from monitor.rubric import Rubric, load_rubric
from trainer.policy import load_policy
from trainer.round_stages import label_figures

RUBRIC = "attention"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plan", type=Path, default=Path(__file__).parent / "plan.toml")
    parser.add_argument("--real", type=Path, default=None, help="folder of real stills with labels.csv, tested only")
    parser.add_argument("--arms", default="", help="some arms of the plan, by commas")
    parser.add_argument("--seeds", default="", help="some seeds of the plan, by commas")
    parser.add_argument("--table", action="store_true", help="only the table of what is there")
    given = parser.parse_args()
    plan = read_plan(given.plan)
    torch.set_num_threads(plan.threads)
    rubric = load_rubric(RUBRIC)
    parts = load_domain(plan.data, rubric, load_policy(plan.weights.base).side_px)
    sets = test_sets(parts, plan.data, rubric, given.real)
    out = Path(plan.out)
    experiment = Experiment(plan, rubric, parts, sets, out)
    if not given.table:
        arms = [arm for arm in plan.arms if not given.arms or arm in given.arms.split(",")]
        seeds = [seed for seed in plan.seeds if not given.seeds or str(seed) in given.seeds.split(",")]
        run_all(experiment, rubric, arms, seeds)
    table = Table(sets, len(rubric.labels), read_answers(out, plan), plan.data.prior)
    (out / "table.md").write_text(table.markdown() + "\n", encoding="utf-8")
    print(table.markdown())
    print(json.dumps(table.headline()))


def run_all(experiment: Experiment, rubric: Rubric, arms: Sequence[str], seeds: Sequence[int]) -> None:
    """Every arm that has no answers yet; one that fails is told and left out."""
    for seed in seeds:
        for arm in arms:
            path = answers_file(experiment.out, arm, seed)
            if path.is_file():
                continue
            print(f"{arm}, seed {seed}", flush=True)
            try:
                result = experiment.run(arm, seed)
            except ClassroomError as error:
                print(f"  failed: {error}", flush=True)
                continue
            keep(experiment, rubric, path, arm, seed, result)


def keep(experiment: Experiment, rubric: Rubric, path: Path, arm: str, seed: int, result: Result) -> None:
    """Write down what an arm came to; the answers last, for an arm with answers is done."""
    told: dict[str, Any] = {
        "arm": arm,
        "seed": seed,
        "steps": result.steps,
        "core_s": round(result.seconds, 1),
        "accepted_rounds": result.rounds,
        "sets": {name: label_figures(experiment.sets[name], said, rubric) for name, said in result.answers.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with (experiment.out / "results.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(told) + "\n")
    staging = path.with_suffix(".writing")
    with staging.open("wb") as opened:
        np.savez(opened, **cast(Any, result.answers))
    staging.replace(path)
    shown = {name: figures["macro_f1"] for name, figures in told["sets"].items()}
    print(f"  {result.steps} steps, {result.seconds:.0f} core-s: {shown}", flush=True)


def read_answers(out: Path, plan: Plan) -> dict[tuple[str, int], Answers]:
    """What is there of the plan's arms and seeds."""
    found: dict[tuple[str, int], Answers] = {}
    for arm in plan.arms:
        for seed in plan.seeds:
            path = answers_file(out, arm, seed)
            if path.is_file():
                with np.load(path) as saved:
                    found[arm, seed] = {name: saved[name] for name in saved.files}
    return found


def answers_file(out: Path, arm: str, seed: int) -> Path:
    """Where an arm's answers lie."""
    return out / "answers" / f"{arm}-{seed}.npz"


if __name__ == "__main__":
    main()
