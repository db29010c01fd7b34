"""The loop: ask the champion, pair its wrong answers, train, guard, compare; accept, or stop.

The champion is the last accepted adapter. Everything is decided by seeds and each stage leaves a file, so that a killed
run goes on to the same result. This file knows the order of rounds; what happens in one is in round_stages.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.errors import BadInputError
from monitor.rubric import Rubric
from trainer.evaluation.compare import compare
from trainer.pairs import picture_keys
from trainer.round_manifest import RoundManifest, closed_rounds, round_folder, write_json, write_manifest
from trainer.round_parts import Engine, Parts, check_parts, hash_data, labelled
from trainer.round_people import write_people
from trainer.round_settings import RoundsSettings
from trainer.round_stages import Round, ask_labels, label_figures

RUN_FILE = "run.json"
SUMMARY_FILE = "summary.json"

Tell = Callable[[str], None]
"""Says one line to who waits."""


@dataclass(frozen=True)
class Outcome:
    """What a run of rounds came to."""

    champion: Path | None
    """Adapter folder; where no round was accepted, what the configuration began with (None = the base as it is)."""
    rounds: tuple[RoundManifest, ...]
    stopped: str
    """Why it ended."""
    final: Mapping[str, Any]
    """Start and champion on the final students."""


def run_rounds(
    settings: RoundsSettings,
    rubric: Rubric,
    parts: Parts,
    engine: Engine,
    out: Path,
    *,
    resume: bool = False,
    tell: Tell = print,
) -> Outcome:
    """All rounds of a run; the summary lies in `out`, a manifest in each round's folder.

    Args:
        settings: how many, and how each goes.
        rubric: what is asked.
        parts: pictures to learn from, to choose by and to report on.
        engine: the model and its training.
        out: folder of the run.
        resume: go on where an earlier run in `out` stopped.
        tell: is told a line now and then.

    Raises:
        BadInputError: data that cannot teach or that leaks, or a folder that holds another run.
    """
    check_parts(parts, rubric)
    loop = _Loop(settings, rubric, parts, engine, out, tell)
    loop.claim(resume)
    return loop.go()


class _Loop:
    """One process of a run."""

    def __init__(
        self, settings: RoundsSettings, rubric: Rubric, parts: Parts, engine: Engine, out: Path, tell: Tell
    ) -> None:
        self.settings, self.rubric, self.engine, self.out, self.tell = settings, rubric, engine, out, tell
        self.parts = replace(parts, selection=labelled(parts.selection), final=labelled(parts.final))
        self.keys = picture_keys(parts.train.images_rgb)
        self.data_sha256 = hash_data(parts, self.keys)
        self.start = Path(settings.model.adapter) if settings.model.adapter else None

    def claim(self, resume: bool) -> None:
        """Make the folder this run's own, or make sure that it is."""
        path = self.out / RUN_FILE
        told = {
            "settings": self.settings.as_dict(),
            "data_sha256": self.data_sha256,
            "base_sha256": self.engine.base_sha256,
        }
        story = json.loads(json.dumps(told))
        if not path.is_file():
            if resume:
                raise BadInputError(f"{self.out}: no run to resume ({RUN_FILE} is missing); start it without --resume.")
            write_people(self.out, self.parts.part_of)
            write_json(path, story)
            return
        if not resume:
            raise BadInputError(f"{self.out}: holds a run already; add --resume to go on, or give another --out.")
        found = json.loads(path.read_text(encoding="utf-8"))
        for name, value in story.items():
            if found.get(name) != value:
                raise BadInputError(
                    f"{self.out}: was started with another {name}, so going on would not be the same run. Give the "
                    "same configuration and pictures, or another --out; with this run's champion as [model] adapter, "
                    "people keep their parts there."
                )

    def go(self) -> Outcome:
        """Rounds until one is refused, nothing is wrong, or there were enough."""
        done = closed_rounds(self.out)
        stopped = self._why_stop(done)
        while not stopped:
            one = self._round(len(done) + 1, self._champion(done))
            if one is None:
                stopped = "nothing is wrong any more, so no pairs could be made"
                break
            write_manifest(round_folder(self.out, one.round), one)
            done.append(one)
            self._tell_round(one)
            stopped = self._why_stop(done)
        champion = self._champion(done)
        outcome = Outcome(champion, tuple(done), stopped, self._final(champion))
        summary = {
            "champion": self._name(champion),
            "rounds": len(done),
            "accepted": sum(one.accepted for one in done),
            "stopped": stopped,
            "final": dict(outcome.final),
        }
        write_json(self.out / SUMMARY_FILE, summary)
        why = stopped.partition(" (")[0]  # the reasons were told with their round
        self.tell(f"Stopped: {why}. Champion: {self._name(champion)}.")
        return outcome

    def _round(self, number: int, parent: Path | None) -> RoundManifest | None:
        """One round; None where there is nothing to learn."""
        folder = round_folder(self.out, number)
        one = Round(self.settings, self.rubric, self.parts, self.engine, folder, number, parent)
        self.tell(f"Round {number}: from {self._name(parent)}, {len(self.parts.train)} pictures.")
        asked = one.ask(self.keys)
        if not asked["counts"]["pairs"]:
            return None
        self.tell(f"Round {number}: {asked['counts']['pairs']} pairs.")
        return one.finish(asked, self.data_sha256, self._name(parent), self._answers(parent))

    def _answers(self, adapter: Path | None) -> NDArray[np.int64]:
        return ask_labels(self.engine.answerer(adapter), self.parts.selection, self.rubric)

    def _champion(self, done: Sequence[RoundManifest]) -> Path | None:
        accepted = [one for one in done if one.accepted]
        return self.out / accepted[-1].adapter if accepted else self.start

    def _why_stop(self, done: Sequence[RoundManifest]) -> str:
        """Empty where another round follows."""
        refused = 0
        while refused < len(done) and not done[-1 - refused].accepted:
            refused += 1
        if refused > self.settings.patience:
            return f"round {done[-1].round} was refused ({'; '.join(done[-1].reasons)})"
        return f"{len(done)} rounds, as configured" if len(done) >= self.settings.rounds else ""

    def _final(self, champion: Path | None) -> dict[str, Any]:
        """Start and champion on students that chose nothing."""
        final = self.parts.final
        at_start = ask_labels(self.engine.answerer(self.start), final, self.rubric)
        told: dict[str, Any] = {
            "persons": len(set(final.persons)),
            "start": label_figures(final, at_start, self.rubric),
        }
        if champion == self.start:
            return told
        now = ask_labels(self.engine.answerer(champion), final, self.rubric)
        found = compare(final.labels, now, at_start, final.persons, len(self.rubric.labels), draws=1000)
        macro = found.differences["macro_f1"]
        return told | {
            "champion": label_figures(final, now, self.rubric),
            "macro_f1_points": [round(100 * value, 2) for value in (macro.value, macro.low, macro.high)],
            "mcnemar_p": round(found.mcnemar_p, 5),
        }

    def _name(self, adapter: Path | None) -> str:
        """An adapter as the run's files name it: relative, for runs are copied to other machines."""
        return "start" if adapter is None or adapter == self.start else adapter.relative_to(self.out).as_posix()

    def _tell_round(self, one: RoundManifest) -> None:
        verdict = "accepted" if one.accepted else f"refused: {'; '.join(one.reasons)}"
        selection = one.metrics.get("selection")
        if selection:
            before, after = selection["champion"]["macro_f1"], selection["challenger"]["macro_f1"]
            verdict = f"macro-F1 {before} to {after}, {verdict}"
        self.tell(f"Round {one.round}: {verdict.rstrip('.')}.")
