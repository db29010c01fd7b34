"""One retraining from a store's annotations to a model in the registry, step by step; a killed one goes on.

    retraining/<model_id>/plan.json    what was decided before anything was done
    retraining/<model_id>/state.json   which steps are done, and what each left
    retraining/<model_id>/run/         the trainer's rounds; the adapter to go on from next time lies in it
    retraining/<model_id>/<model_id>/  the exported adapter

The folder lies beside the registry. This file joins trainer and export, which know nothing of each other.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from commands.retraining_plan import Plan, Wish, reason_of
from export.registry.atomic import write_json
from monitor.errors import BundleError, ClassroomError
from monitor.registry import CHAMPION, Entry, Registry
from monitor.registry_history import alias_now
from monitor.registry_list import list_models
from monitor.rubric import Rubric, load_rubric
from monitor.store.location import store_path
from trainer.retraining.lessons import Lessons, find_lessons, require_enough

TRAINABLE = Path(__file__).parent.parent / "monitor" / "assets" / "trainable"
PLAN, STATE = "plan.json", "state.json"
TRAINED, EXPORTED, ADDED, JUDGED, ABANDONED = "trained", "exported", "added", "judged", "abandoned"
METHOD = "hadpo"

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Result:
    """What came of it."""

    model_id: str
    folder: Path
    passed: bool | None
    """What the gate said; None: it was not asked."""
    reasons: tuple[str, ...]
    promoted: bool
    seconds: float
    figures: dict[str, Any]


class Retraining:
    """One turn from corrections to a model."""

    def __init__(self, wish: Wish) -> None:
        """Look at what there is; nothing is written.

        Raises:
            BadInputError, StoreError, BundleError: what a person can mend.
        """
        from monitor.registry import models_folder

        self.wish = wish
        self.store = store_path(wish.store)
        self.registry = Registry(wish.models or models_folder(wish.store))
        self.rubric: Rubric = load_rubric(wish.rubric, research=wish.research)
        self.root = self.registry.folder.with_name("retraining")
        self.since = self._since()
        self.lessons: Lessons = find_lessons(self.store, self.rubric, self.since)
        self.champion: Entry = self.registry.champion()
        self._stale: list[tuple[Path, dict[str, Any], str]] = []

    def plan(self) -> Plan:
        """What will be done.

        Raises:
            BadInputError: too little to learn from.
            BundleError: weights that do not belong to the model in use.
        """
        left = self._unfinished()
        if left is not None:
            return left
        require_enough(self.lessons, self.since, self.wish.fewest)
        base = self.wish.base or TRAINABLE
        _require_base(self.champion, base)
        from trainer.retraining.teach import expected_s

        lessons = self.lessons
        parent, why = self._parent()
        number = self._next_number()
        return Plan(
            model_id=f"class-{number:03d}-{lessons.digest()[:6]}",
            store=str(self.store.resolve()),
            rubric_id=self.rubric.rubric_id,
            base=str(base.resolve()),
            parent_model=self.champion.model_id,
            parent_adapter=str(parent.resolve()) if parent else "",
            why_base=why,
            method=METHOD,
            corrections=len(lessons.corrections),
            fresh=len(lessons.fresh),
            corrected_students=len(lessons.corrected_students),
            crops=len(lessons.items),
            crop_ids=tuple(item.item_id for item in lessons.items),
            students=lessons.students,
            lectures=lessons.lectures,
            annotators=lessons.annotators,
            left_out=dict(lessons.left_out),
            since=self.since.isoformat() if self.since else "",
            newest_at=lessons.newest_at.isoformat() if lessons.newest_at else "",
            digest=lessons.digest(),
            round=number,
            expected_s=round(expected_s(lessons, self._teach_settings())),
        )

    def run(self, plan: Plan, tell: Tell = print) -> Result:
        """Do what the plan says, from the first step that is not done.

        Raises:
            ClassroomError: training found nothing better, or a step met what a person can mend; called again, it goes
                on at that step.
        """
        began = time.monotonic()
        for stale in self._stale:
            self._abandon(*stale)
        folder = self.root / plan.model_id
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / PLAN).is_file():
            write_json(folder / PLAN, asdict(plan))
        state = _read(folder / STATE)
        steps: tuple[tuple[str, Callable[[Plan, Path, dict[str, Any], Tell], dict[str, Any]]], ...] = (
            (TRAINED, self._train),
            (EXPORTED, self._export),
            (ADDED, self._add),
            (JUDGED, self._judge),
        )
        for name, step in steps:
            if name not in state:
                started = time.monotonic()
                left = step(plan, folder, state, tell)
                state[name] = {**left, "seconds": round(time.monotonic() - started, 1)}
                write_json(folder / STATE, state)
        judged = state[JUDGED]
        return Result(
            plan.model_id,
            folder,
            judged["passed"],
            tuple(judged["reasons"]),
            judged["promoted"],
            round(time.monotonic() - began, 1),
            {"export": state[EXPORTED], "training": state[TRAINED], "gate": judged["figures"]},
        )

    def _train(self, plan: Plan, folder: Path, state: dict[str, Any], tell: Tell) -> dict[str, Any]:
        from trainer.retraining.teach import Start, teach

        parent = Path(plan.parent_adapter) if plan.parent_adapter else None
        outcome = teach(
            *(self.store, self.lessons, self.rubric, Start(Path(plan.base), parent), folder / "run"),
            self._teach_settings(),
            tell,
        )
        if outcome.champion is None or outcome.champion == parent:
            self._abandon(folder, state, outcome.stopped)
            raise ClassroomError(
                f"nothing better was learned: {outcome.stopped}. The model in use stays. Label more of what it gets "
                "wrong, of more students, and look for answers that contradict each other."
            )
        first = outcome.rounds[0]
        return {
            "adapter": outcome.champion.relative_to(folder).as_posix(),
            "rounds": len(outcome.rounds),
            "pairs": first.counts["pairs"],
            "data_sha256": first.data_sha256,
            "final": dict(outcome.final),
        }

    def _export(self, plan: Plan, folder: Path, state: dict[str, Any], tell: Tell) -> dict[str, Any]:
        from export.adapter import export_adapter

        tell("Exporting the adapter, and proving that the runtime answers as the trainer does.")
        bundle = self.champion.bundle
        manifest = export_adapter(
            folder / state[TRAINED]["adapter"],
            Path(plan.base),
            bundle.path,
            self._judging_pictures(bundle.image_size),
            folder / plan.model_id,
            rubric_id=plan.rubric_id,
            lineage={
                "parent": plan.parent_model if plan.parent_adapter else None,
                "round": plan.round,
                "data_sha256": state[TRAINED]["data_sha256"],
                "lectures": list(plan.lectures),
                "annotators": list(plan.annotators),
                "students": list(plan.students),
            },
        )
        sizes = sum(one["bytes"] for one in manifest["files"].values())
        return {"bytes": sizes, "parity": manifest["figures"]["parity"]}

    def _add(self, plan: Plan, folder: Path, state: dict[str, Any], tell: Tell) -> dict[str, Any]:
        from export.registry.aliases import set_challenger, writing
        from export.registry.entries import add_entry

        model_id = add_entry(self.registry, folder / plan.model_id)
        if alias_now(self.registry, CHAMPION) != model_id:
            with writing(self.registry):
                words = f"retrained on {plan.corrections} corrections"
                set_challenger(self.registry, self.registry.entry(model_id), by=self.wish.by, reason=words)
        tell(f"{model_id} is in the registry, and the challenger now.")
        return {"model_id": model_id}

    def _judge(self, plan: Plan, folder: Path, state: dict[str, Any], tell: Tell) -> dict[str, Any]:
        from export.registry.aliases import writing
        from export.registry.promotion import ask_gate, keep_verdict, promote
        from export.trial import Jury

        wish = self.wish
        jury = Jury(self.store, wish.heldout, plan.rubric_id, threads=wish.threads)
        if wish.promote:
            done = promote(
                self.registry, plan.model_id, jury, by=wish.by, reason=wish.reason or reason_of(plan), force=wish.force
            )
            verdict, promoted = done.verdict, done.change is not None or done.verdict is None
        else:
            entry, champion = self.registry.entry(plan.model_id), self.registry.champion()
            verdict, promoted = ask_gate(self.registry, champion, entry, jury), False
            with writing(self.registry):
                keep_verdict(self.registry, entry, champion, verdict)
        return {
            "passed": verdict.passed if verdict else True,
            "reasons": list(verdict.reasons) if verdict else [],
            "figures": dict(verdict.figures) if verdict else {},
            "promoted": promoted,
        }

    def _teach_settings(self) -> Any:
        from trainer.retraining.teach import TeachSettings

        given = {"threads": self.wish.threads, "lenient": self.wish.force, "replay": self.wish.replay}
        return TeachSettings(**{**given, **self.wish.teach})

    def _judging_pictures(self, side_px: int) -> Any:
        """What calibrates and proves: people on whom nothing was trained."""
        from export.held_aside import read_renders
        from export.heldout import read_measured

        names = self.rubric.names
        return read_measured(self.wish.heldout, names, side_px) if self.wish.heldout else read_renders(names, side_px)

    def _parent(self) -> tuple[Path | None, str]:
        """The PEFT folder of the champion, or why it is begun from the base."""
        champion = self.champion
        if champion.adapter is None:
            return None, ""
        marks = next((row.tainted_by for row in list_models(self.registry) if row.model_id == champion.model_id), ())
        if marks:
            return None, f"{champion.model_id} learned from students who were erased since"
        trained = _read(self.root / champion.model_id / STATE).get(TRAINED, {}).get("adapter")
        adapter = self.root / champion.model_id / trained if trained else None
        if adapter is None or not adapter.is_dir():
            return None, f"the weights of {champion.model_id} to go on from are not in {self.root}"
        return adapter, ""

    def _plans(self) -> list[tuple[Path, dict[str, Any], dict[str, Any]]]:
        """Retrainings of this store under this rubric, oldest first: folder, plan, state."""
        found = [(path.parent, _read(path), _read(path.parent / STATE)) for path in self.root.glob(f"*/{PLAN}")]
        here = str(self.store.resolve())
        own = [one for one in found if one[1].get("store") == here and one[1].get("rubric_id") == self.rubric.rubric_id]
        return sorted(own, key=lambda one: int(one[1].get("round", 0)))

    def _since(self) -> datetime | None:
        """Up to when annotations have been learned."""
        told = [plan["newest_at"] for _, plan, state in self._plans() if ADDED in state and plan.get("newest_at")]
        return max((datetime.fromisoformat(one) for one in told), default=None)

    def _unfinished(self) -> Plan | None:
        """The retraining that was killed, if it can still go on as it was planned."""
        for folder, told, state in reversed(self._plans()):
            if JUDGED in state or ABANDONED in state:
                continue
            teachable = {item.item_id for item in self.lessons.items}
            same = told["digest"] == self.lessons.digest()
            # Once trained, new answers wait for the next time; what may no longer teach must not be published.
            fits = set(told["crop_ids"]) <= teachable if TRAINED in state else same
            if self.wish.restart or not fits:
                words = "begun anew" if self.wish.restart else "what it was to learn from has changed"
                self._stale.append((folder, state, words))
                continue
            lists = {name: tuple(told[name]) for name in ("crop_ids", "students", "lectures", "annotators")}
            return Plan(**{**told, **lists, "goes_on": True, "done": tuple(state)})
        return None

    def _abandon(self, folder: Path, state: dict[str, Any], why: str) -> None:
        state[ABANDONED] = {"why": why, "at": datetime.now(UTC).isoformat(timespec="seconds")}
        write_json(folder / STATE, state)

    def _next_number(self) -> int:
        """After all there are, of other stores too: they share the registry."""
        numbers = [
            int(found[1]) for path in self.root.glob("class-*") if (found := re.match(r"class-(\d+)", path.name))
        ]
        return max(numbers, default=0) + 1


def _require_base(champion: Entry, base: Path) -> None:
    """Refuse, before anything long begins, weights from which no adapter for the model in use could come.

    Raises:
        BundleError: the model takes no adapters, or was not made of these weights.
    """
    from monitor.vlm.checkpoint.files import hash_base

    bundle = champion.bundle
    if bundle.vision is None:
        raise BundleError(
            f"{bundle.path}: a bundle of format 1 takes no adapters, expected format 2. Export its checkpoint again "
            "(`classroom export`), and promote that."
        )
    found, known = hash_base(base), [str(one) for one in bundle.manifest.get("bases", ())]
    if found not in known:
        raise BundleError(
            f"{base}: not the weights that the model in use, {bundle.model_id}, was made of: expected one of "
            f"{', '.join(one[:12] for one in known) or 'none known'}, found {found[:12]}. Name them: --base FOLDER."
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
