"""Models: which one is in use and how another takes its place; what training rounds tried, and how well each did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import streamlit as st

from dashboard.model_choice import choose_model
from dashboard.notices import show_empty, show_error
from dashboard.rounds_view import Figures, RoundView, RunView, run_folders, run_view
from dashboard.settings import store_location
from monitor.errors import ClassroomError, RubricError
from monitor.rubric import load_rubric
from monitor.store.location import store_path


def models_page() -> None:
    """Draw the models to choose from, then the newest run or the one that was picked."""
    with st.container(key="models"):
        try:
            choose_model()
        except ClassroomError as error:
            show_error(error)
            return
        st.subheader("Training rounds", anchor=False)
        _runs()


def _runs() -> None:
    folders = run_folders(store_path(store_location()))
    if not folders:
        show_empty(
            "No training rounds yet",
            "Label crops under Review first. Rounds then learn from what the model got wrong, and keep a new model "
            "only where no label got worse. Start them in a terminal where the dashboard runs:",
            "classroom train rounds --config rounds.toml --out runs/first",
        )
        return
    runs = {folder.as_posix(): run_view(folder) for folder in folders}
    place = st.selectbox("Run", list(runs), format_func=lambda at: runs[at].name, key="run", width=340)
    _show_run(runs[place])


def _show_run(run: RunView) -> None:
    accepted = [one for one in run.rounds if one.accepted]
    ending = f" It ended: {run.stopped}." if run.stopped else " It is still going on, or was interrupted."
    st.html(
        f'<p class="fault">{len(accepted)} of {len(run.rounds)} rounds made a model that was accepted.'
        f"{escape(ending)}</p>"
    )
    if run.start and run.final:
        gain = f", {_points(run.final_points)}" if run.final_points else ""
        st.html(
            f'<p class="sum">On students that chose nothing: <b>{run.start.macro_f1:.2f}</b> before, '
            f"<b>{run.final.macro_f1:.2f}</b> now{escape(gain)}</p>"
        )
    st.html(_rounds_html(run.rounds))
    shown = [one for one in run.rounds if one.challenger]
    if shown:
        _matrices(shown)


def _rounds_html(rounds: Sequence[RoundView]) -> str:
    lines = "".join(
        f'<tr><td class="number">{one.number}</td><td>{"accepted" if one.accepted else "refused"}'
        f"<small>{escape('; '.join(one.reasons))}</small></td>"
        f'<td>{escape(one.method)}</td><td class="number">{one.pairs:,}</td>'
        f'<td class="number">{_f1(one.champion)}</td><td class="number">{_f1(one.challenger)}</td>'
        f"<td>{escape(_points(one.points))}</td></tr>"
        for one in rounds
    )
    return (
        '<table class="figures"><thead><tr><th class="number">Round</th><th>Outcome</th><th>Method</th>'
        '<th class="number">Pairs</th><th class="number">Champion</th><th class="number">Challenger</th>'
        f"<th>Gain, points (95 %)</th></tr></thead><tbody>{lines}</tbody></table>"
    )


def _f1(figures: Figures | None) -> str:
    return f"{figures.macro_f1:.3f}" if figures else "–"


def _points(points: tuple[float, float, float] | None) -> str:
    return "–" if points is None else f"{points[0]:+.1f} ({points[1]:+.1f} to {points[2]:+.1f})"


def _matrices(rounds: Sequence[RoundView]) -> None:
    """Champion beside challenger of one round."""
    by_number = {one.number: one for one in rounds}
    number = st.segmented_control(
        "Round", list(by_number), default=max(by_number), format_func=lambda n: f"Round {n}", key="round"
    )
    one = by_number[number if number in by_number else max(by_number)]
    words = _phrases()
    sides = [
        _matrix_html(title, figures, words)
        for title, figures in (("Champion", one.champion), ("Challenger", one.challenger))
        if figures
    ]
    st.html(f'<div class="matrices">{"".join(sides)}</div>')
    st.caption(
        "Each row is what is true, each column what the model answered; shares of the row. The diagonal is right."
    )


def _phrases() -> dict[str, str]:
    try:
        return {label.name: label.phrase for label in load_rubric("attention").labels}
    except RubricError:
        return {}


def _matrix_html(title: str, figures: Figures, words: Mapping[str, str]) -> str:
    names = [words.get(name, name) for name in figures.f1]
    head = "".join(f'<th class="number">{escape(name)}</th>' for name in names)
    lines = ""
    for place, (name, row) in enumerate(zip(names, figures.confusion, strict=True)):
        total = max(1, sum(row))
        cells = "".join(
            f'<td class="number" style="--share:{cell / total:.2f}"{" data-right" if place == column else ""} '
            f'title="{cell} of {sum(row)}">{cell / total:.0%}</td>'
            for column, cell in enumerate(row)
        )
        lines += f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>'
    return (
        f"<section><h3>{escape(title)}</h3><p>macro-F1 {figures.macro_f1:.3f}, {figures.accuracy:.0%} right of "
        f'{figures.pictures:,}</p><table class="matrix"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{lines}</tbody></table></section>"
    )
