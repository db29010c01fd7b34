"""What somebody wants of a retraining, and what it will do, in values and in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monitor.errors import BadInputError
from trainer.retraining.lessons import FEWEST


@dataclass(frozen=True)
class Wish:
    """What somebody asked for."""

    store: str | Path | None = None
    models: Path | None = None
    rubric: str = "attention"
    research: bool = False
    base: Path | None = None
    """Checkpoint that is trained; None = the trainable weights that ship."""
    heldout: Path | None = None
    """Labelled pictures in place of the renders that judge and calibrate."""
    replay: Path | None = None
    fewest: int = FEWEST
    promote: bool = False
    force: bool = False
    reason: str = ""
    by: str = ""
    restart: bool = False
    threads: int = 1
    teach: dict[str, Any] = field(default_factory=dict)
    """Other values of `trainer.retraining.teach.TeachSettings`."""


@dataclass(frozen=True)
class Plan:
    """What will be done; the first thing that is printed."""

    model_id: str
    store: str
    rubric_id: str
    base: str
    parent_model: str
    """The champion."""
    parent_adapter: str
    """PEFT folder to go on from; empty: from the base."""
    why_base: str
    """Why not from the champion, where it is not."""
    method: str
    corrections: int
    fresh: int
    corrected_students: int
    crops: int
    crop_ids: tuple[str, ...]
    students: tuple[str, ...]
    lectures: tuple[str, ...]
    annotators: tuple[str, ...]
    left_out: dict[str, int]
    since: str
    newest_at: str
    digest: str
    round: int
    expected_s: float
    goes_on: bool = False
    """An earlier one that was killed is gone on with."""
    done: tuple[str, ...] = ()
    """Its steps that are done."""


def plan_words(plan: Plan) -> list[str]:
    """The plan as lines for a person."""
    since = f" since {plan.since[:16].replace('T', ' ')}" if plan.since else ""
    start = plan.parent_model if plan.parent_adapter else f"the base ({plan.why_base})" if plan.why_base else "the base"
    minutes = max(1, round(plan.expected_s / 60))
    lines = [
        f"{plan.model_id}: {'goes on where it was stopped' if plan.goes_on else 'retraining'} for {plan.rubric_id!r}",
        f"  learns from   {plan.fresh} new corrections{since} of {plan.corrected_students} students; with earlier and "
        f"confirmed labels {plan.crops} crops of {len(plan.students)}",
        f"  left out      {'; '.join(f'{count} {why}' for why, count in plan.left_out.items()) or 'none'}",
        f"  begins from   {start}; method {plan.method}",
        f"  expected      about {minutes} min on one free core",
    ]
    if plan.done:
        lines.append(f"  done already  {', '.join(plan.done)}")
    return lines


def reason_of(plan: Plan) -> str:
    """What a promotion is written down with, where nobody gives another reason."""
    return f"retrained on {plan.corrections} corrections of {plan.corrected_students} students"


def require_reason(wish: Wish) -> None:
    """Refuse, before anything long begins, what would be refused at its end.

    Raises:
        BadInputError: force without a reason, or without promotion.
    """
    if wish.force and not wish.promote:
        raise BadInputError("--force is about promotion: add --promote.")
    if wish.force and not wish.reason.strip():
        raise BadInputError("whoever forces a promotion says why: add --reason.")
