"""The part of the page of models where one is chosen: what there is, what the gate says, promote, go back.

Each click runs the same command that a terminal would; what came of it is said on the next look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import streamlit as st

from dashboard.model_commands import run_models
from dashboard.models_html import history_html, lineage_html, rows_html, verdict_html
from dashboard.queries import open_reader
from dashboard.settings import models_location, store_location
from monitor.errors import ClassroomError
from monitor.registry import CHALLENGER, CHAMPION, Registry
from monitor.registry_history import Change, KeptVerdict, alias_now, champions, change_of, read_history, verdict_of
from monitor.registry_list import Row, list_models
from monitor.registry_words import FORCE_ADVICE, change_words, verdict_sentence, when_words
from monitor.store.wishes import acknowledged

_SAID = "models_said"
_ASKED = "models_asked"
_HISTORY_SHOWN = 50


def choose_model() -> None:
    """Draw the models, the one that was picked, and the history.

    Raises:
        ClassroomError: a registry that cannot be read.
    """
    registry = Registry(models_location())
    history = read_history(registry.folder)
    rows = list_models(registry)
    # A container each, so that what comes and goes in one moves nothing else: a moved popover closes.
    with st.container():
        _say()
    with st.container():
        _in_use(registry, history)
    st.html(rows_html(rows))
    person = _person()
    with st.container():
        _go_back(history, person)
    _one(rows, person)
    if history:
        with st.expander("History"):
            st.html(history_html(history[-_HISTORY_SHOWN:]))


def _in_use(registry: Registry, history: Sequence[Change]) -> None:
    """Champion and challenger in a line, and what is wrong with them."""
    champion, challenger = (alias_now(registry, name) for name in (CHAMPION, CHALLENGER))
    since = next((one.at for one in reversed(history) if one.alias == CHAMPION), "")
    when = f"<small> since {escape(when_words(since))}</small>" if since else ""
    beside = f" <b>Beside it</b> {escape(challenger)}" if challenger else ""
    st.html(f'<p class="inuse"><b>In use</b> {escape(champion or "?")}{when}{beside}</p>')
    for opened in (registry.champion, registry.challenger):
        try:
            opened()
        except ClassroomError as error:
            st.error(_plain(str(error)))


def _person() -> str:
    """Who chooses: as the acknowledgement has it, unless somebody else says so."""
    if "models_person" not in st.session_state:
        reader = open_reader(store_location())
        found = None
        if reader is not None:
            with reader:
                found = acknowledged(reader)
        st.session_state["models_person"] = found[0] if found else ""
    return st.text_input("Who chooses", key="models_person", max_chars=100, width=340)


def _go_back(history: Sequence[Change], person: str) -> None:
    standing = champions(history)
    if len(standing) < 2:
        return
    before, now = standing[-2], standing[-1]
    if st.button(f"Go back from {now} to {before}", key="rollback"):
        _run(["rollback", f"--by={person}"], "Going back…", _change_words)


def _one(rows: Sequence[Row], person: str) -> None:
    newest_first = sorted(rows, key=lambda row: row.added_at, reverse=True)
    by_id = {row.model_id: row for row in sorted(newest_first, key=_worth_a_look)}
    st.subheader("One model", anchor=False)
    chosen = st.selectbox("Model", list(by_id), key="model", width=340)
    row = by_id[chosen]
    with st.container(horizontal=True):
        if CHAMPION not in row.aliases:
            _promote(row, person)
            _challenge(row, person)
    asked: KeptVerdict | None = st.session_state.get(_ASKED)
    verdict = asked if asked is not None and asked.model_id == chosen else row.verdict
    if verdict is not None:
        st.html(verdict_html(verdict))
    st.html(lineage_html(row) or "<span></span>")


def _worth_a_look(row: Row) -> tuple[bool, bool]:
    """The challenger first, the model in use last."""
    return CHAMPION in row.aliases, CHALLENGER not in row.aliases


def _promote(row: Row, person: str) -> None:
    name = row.model_id
    asking = f"The gate asks {name} and the model in use about students that neither has learned from…"
    if st.button(
        "Promote", key="promote", type="primary", help="It becomes the model in use if the gate lets it pass."
    ):
        _run(["promote", name, f"--by={person}"], asking, _promotion_words)
    with st.popover("Force"), st.form("force", border=False):
        st.caption(FORCE_ADVICE)
        reason = st.text_input("Reason", key=f"reason_{name}", max_chars=500)
        sure = st.form_submit_button("Promote all the same")
    if sure:
        _run(["promote", name, "--force", f"--reason={reason}", f"--by={person}"], asking, _promotion_words)
    if st.button("Ask the gate", key="ask", help="What it would say; nothing changes."):
        _ask(name, asking)


def _ask(name: str, meanwhile: str) -> None:
    """Show what the gate would say, for as long as the person stays."""
    with st.spinner(meanwhile):
        done = run_models(["compare", name], store=store_location(), models=models_location())
    if done.error:
        st.session_state[_SAID] = (False, done.error)
    else:
        st.session_state[_ASKED] = verdict_of({**done.told, "champion": done.told.get("against")})
    st.rerun()


def _challenge(row: Row, person: str) -> None:
    if CHALLENGER in row.aliases:
        if st.button("Beside it no more", key="unchallenge"):
            _run(["rollback", "--challenger", f"--by={person}"], "Taking it away…", _change_words)
    elif st.button(
        "Run beside", key="challenge", help="It answers too, unseen; where it differs is put up for review."
    ):
        _run(["promote", row.model_id, "--challenger", f"--by={person}"], "Choosing it…", _change_words)


def _run(arguments: list[str], meanwhile: str, words: Callable[[Mapping[str, Any]], str]) -> None:
    """Run the command, and look again with what came of it."""
    with st.spinner(meanwhile):
        done = run_models(arguments, store=store_location(), models=models_location())
    st.session_state[_SAID] = (done.ok, done.error or words(done.told))
    st.session_state.pop(_ASKED, None)  # it may have been compared with another champion
    st.rerun()


def _say() -> None:
    said = st.session_state.pop(_SAID, None)
    if said:
        (st.success if said[0] else st.error)(_plain(said[1]))


def _change_words(told: Mapping[str, Any]) -> str:
    """A change that a command printed, in words."""
    change = change_of(told)
    return f"{change_words(change)}." if change else "Done."


def _promotion_words(told: Mapping[str, Any]) -> str:
    verdict = told.get("verdict")
    if not isinstance(verdict, Mapping):
        return f"{told.get('model_id')} is in use already."
    name, before = str(told.get("model_id")), str(told.get("before"))
    if told.get("promoted") is not True:
        return f"{_verdict_words(name, before, verdict)} Nothing has changed."
    return _change_words(told["change"])


def _verdict_words(name: str, champion: str, verdict: Mapping[str, Any]) -> str:
    reasons = list(map(str, verdict.get("reasons", ())))
    sentence = verdict_sentence(name, champion, verdict.get("passed") is True, reasons)
    return f"{sentence} {'; '.join(reasons)}{'.' if reasons else ''}"


def _plain(text: str) -> str:
    """A text as Markdown shows it unchanged."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]()<>#+-.!|~:$" else c for c in text)
