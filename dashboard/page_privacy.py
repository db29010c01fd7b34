"""Students and privacy: who is known, who opted out, what is kept and for how long, and how to take it out again."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import streamlit as st

from dashboard.law import notice_text
from dashboard.notices import show_empty, show_error
from dashboard.queries import lecture_choices, open_reader
from dashboard.settings import store_location
from monitor.errors import ClassroomError
from monitor.store.database import Store
from monitor.store.erasure import erase_student, purge_thumbnails, set_opt_out
from monitor.store.inventory import inventory_of
from monitor.store.people import Person, import_roster, merge, newest_change, people_of, rename, split, undo_change
from monitor.store.reader import StoreReader
from monitor.store.wishes import MAX_KEPT_DAYS, acknowledged, change_wishes, wishes_of

LISTED_MAX = 500
_ROSTER_BYTES = 1_000_000
_SAID = "privacy_said"


def privacy_page() -> None:
    """Draw the page."""
    try:
        reader = open_reader(store_location())
        if reader is None:
            show_empty(
                "Nothing is kept yet", "Once a lecture was watched, this page says what is kept and for how long."
            )
            return
        with reader, st.container(key="privacy"):
            _draw(reader)
    except ClassroomError as error:
        show_error(error)


def _draw(reader: StoreReader) -> None:
    said = st.session_state.pop(_SAID, None)
    place = st.empty()  # always there: a popover that is open would close if all below it moved
    if said:
        (place.success if said[0] else place.error)(_plain(said[1]))
    students, privacy = st.tabs(["Students", "Privacy"])
    with students:
        if wishes_of(reader).room_only:
            st.info("Room only is on: single students are not shown. Who opts out or is erased is named by number.")
        _students(reader, hide_names=wishes_of(reader).room_only)
    with privacy:
        _kept(reader)
        _settings(reader)
        _notice(reader)


def _do(words: str, change: Callable[[Store], object]) -> None:
    """Write, and say on the next look what came of it."""
    try:
        with Store.open(store_location()) as store:
            change(store)
    except ClassroomError as error:
        st.session_state[_SAID] = (False, str(error))
    else:
        st.session_state[_SAID] = (True, words)


def _do_to(chosen: str, words: str, change: Callable[[Store], object]) -> None:
    """The same for one student, unless another one was chosen in the moment before the click."""
    if st.session_state.get("student") != chosen:
        st.session_state[_SAID] = (False, "Another student was chosen just now, so nothing was done. Click again.")
        return
    _do(words, change)


# --- students --------------------------------------------------------------------------------------------------------


def _students(reader: StoreReader, *, hide_names: bool) -> None:
    people = people_of(reader)
    titles = {one.student_id: _title(one, hide_names=hide_names) for one in people}
    if people:
        st.html(_people_html(people[:LISTED_MAX], hide_names=hide_names))
        if len(people) > LISTED_MAX:
            st.caption(f"The first {LISTED_MAX} of {len(people)}.")
        change = newest_change(reader)
        place = st.empty()
        if change is not None:
            other = f" and {change.other_id}" if change.other_id else ""
            place.button(
                f"Undo the {change.kind} of {change.student_id}{other}", key="undo_change", on_click=_do,
                args=(f"The {change.kind} is undone.", undo_change),
            )  # fmt: skip
        _one_student(reader, people, titles)
    else:
        st.caption("Nobody was seen yet. A list of names can be taken in before the first lecture.")
    _import()


def _title(person: Person, *, hide_names: bool) -> str:
    return person.student_id if hide_names or not person.name else f"{person.name} ({person.student_id})"


def _people_html(people: list[Person], *, hide_names: bool) -> str:
    lines = "".join(
        f"<tr><td>{escape(one.student_id)}</td><td>{escape('' if hide_names else one.name) or '–'}</td>"
        f'<td class="number">{one.lectures}</td><td class="number">{one.crops}</td>'
        f"<td>{'opted out' if one.opted_out else ''}</td></tr>"
        for one in people
    )
    return (
        '<div class="people"><table class="figures"><thead><tr><th>Number</th><th>Name</th>'
        '<th class="number">Lectures</th><th class="number">Pictures kept</th><th></th></tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def _one_student(reader: StoreReader, people: list[Person], titles: dict[str, str]) -> None:
    by_id = {one.student_id: one for one in people}
    st.subheader("One student", anchor=False)
    chosen = st.selectbox("Student", list(by_id), format_func=titles.__getitem__, key="student", width=340)
    person = by_id[chosen]
    with st.container(horizontal=True):
        out = not person.opted_out
        st.button(
            "Leave out from now on" if out else "May be judged again", key="opt_out", on_click=_do_to,
            args=(
                chosen,
                f"{chosen}: {'left out' if out else 'judged again'}.",
                lambda store: set_opt_out(store, chosen, out),
            ),
        )  # fmt: skip
        # What was written in the moment of the click is in the session's state, not yet in a variable of this run.
        with st.popover("Rename"):
            st.text_input("Name", value=person.name, key=f"name_{chosen}", max_chars=100)
            st.button(
                "Rename", key="rename", on_click=_do_to,
                args=(
                    chosen, "Renamed.", lambda store: rename(store, chosen, str(st.session_state[f"name_{chosen}"]))
                ),
            )  # fmt: skip
        with st.popover("Merge"):
            st.caption("Two numbers are one person: all that is stored of the other becomes this student's.")
            others = [one for one in by_id if one != chosen]
            other = st.selectbox(
                "The other number", others, format_func=titles.__getitem__, key="merge_other", index=None
            )
            st.button(
                "Merge", key="merge", disabled=other is None, on_click=_do_to,
                args=(chosen, "Merged.", lambda store: merge(store, chosen, st.session_state["merge_other"] or "")),
            )  # fmt: skip
        with st.popover("Split"):
            _split(reader, chosen)
        with st.popover("Erase"):
            st.caption("Deletes every row, name and picture of this student, in all lectures. It cannot be undone.")
            st.caption(f"Models that learned from this student: `classroom erase {chosen}` marks them, too.")
            sure = st.checkbox("Yes, erase all of it", key=f"sure_{chosen}")
            st.button(
                "Erase", key="erase", type="primary", disabled=not sure, on_click=_do_to,
                args=(chosen, f"{chosen} is erased.", lambda store: erase_student(store, chosen)),
            )  # fmt: skip


def _split(reader: StoreReader, chosen: str) -> None:
    st.caption("From a minute of a lecture on this is somebody else, who gets a number of their own.")
    choices = lecture_choices(reader)
    lecture = st.selectbox("Lecture", list(choices), format_func=choices.__getitem__, key="split_lecture")
    st.number_input("From minute", min_value=0.0, step=1.0, key="split_minute")

    def split_off(store: Store) -> None:
        state = st.session_state
        split(store, chosen, state["split_lecture"] or "", 60 * float(state["split_minute"]))

    st.button("Split", key="split", disabled=lecture is None, on_click=_do_to, args=(chosen, "Split off.", split_off))


def _import() -> None:
    with st.expander("Take in a list of students"):
        st.caption("A CSV file with a column “name”; a column “opted_out” with “yes” for who is to be left out.")
        file = st.file_uploader("List of students", type=["csv"], key="roster", label_visibility="collapsed")
        if file is None:
            return
        if file.size > _ROSTER_BYTES:
            st.error("The file is larger than a list of names can be.")
            return
        text = file.getvalue().decode("utf-8", errors="replace")
        st.button("Take it in", key="import_roster", on_click=_import_text, args=(text,))


def _import_text(text: str) -> None:
    def take(store: Store) -> None:
        done = import_roster(store, text)
        words.append(f"{done.new} new, {done.known} known already, {done.opted_out} left out from now on.")

    words: list[str] = []
    _do("", take)
    if words:
        st.session_state[_SAID] = (True, words[0])


# --- privacy ---------------------------------------------------------------------------------------------------------


def _kept(reader: StoreReader) -> None:
    inventory = inventory_of(reader)
    lines = "".join(
        f'<tr><td>{escape(one.what)}</td><td class="number">{one.count:,}</td>'
        f'<td class="number">{_size(one.size_bytes)}</td><td>{escape(one.until)}</td></tr>'
        for one in inventory.holdings
    )
    st.subheader("What is kept", anchor=False)
    st.html(
        '<table class="figures"><thead><tr><th>What</th><th class="number">How many</th><th class="number">Size</th>'
        f"<th>Until</th></tr></thead><tbody>{lines}</tbody></table>"
    )
    st.caption(f"All of it lies in one file on this machine, {_size(inventory.size_bytes)}:")
    st.code(str(inventory.path), language=None)
    st.button(
        "Delete pictures whose time is over", key="purge", on_click=_do,
        args=("Old pictures are deleted.", purge_thumbnails),
    )  # fmt: skip


def _size(size_bytes: int | None) -> str:
    if size_bytes is None:
        return ""
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 1e5 else f"{size_bytes / 1e3:.0f} kB"


def _settings(reader: StoreReader) -> None:
    wishes = wishes_of(reader)
    st.subheader("Settings", anchor=False)
    with st.form("wishes", border=False, width=620):
        values = {
            "room_only": st.toggle(
                "Room only", wishes.room_only,
                help="Counts of the room alone. The newest pictures are deleted at once; crops stay until their time.",
            ),
            "pictures_kept_days": st.number_input(
                "Days that pictures are kept", 0.1, float(MAX_KEPT_DAYS), wishes.pictures_kept_days, 1.0
            ),
            "review_crops_per_hour": st.number_input(
                "Crops kept for review, an hour of lecture", 0, 3600, wishes.review_crops_per_hour, 10
            ),
            "may_train": st.toggle(
                "Those concerned agreed that a model learns from crops labelled here", wishes.may_train,
                help="Each answer carries this as it is now; answers given before are not changed.",
            ),
            "training_kept_days": st.number_input(
                "Days that labelled crops are kept, if a model may learn from them", 0.1, float(MAX_KEPT_DAYS),
                wishes.training_kept_days, 1.0,
            ),
            "alert_share": st.slider(
                "Say so on the live page when more of the room looks elsewhere than", 0.1, 1.0, wishes.alert_share,
                0.05, format="percent",
            ),
            "alert_after_s": st.number_input("… for so many seconds", 0.0, 3600.0, wishes.alert_after_s, 10.0),
        }  # fmt: skip
        if st.form_submit_button("Save"):
            _do(
                "Saved. A lecture that runs heeds it from the next second on.",
                lambda store: change_wishes(store, **values),
            )
            st.rerun()
    given = acknowledged(reader)
    if given is not None:
        st.caption(f"Purpose and law acknowledged by {_plain(given[0])}, {given[1].astimezone():%Y-%m-%d %H:%M}.")


def _plain(text: str) -> str:
    """A name as Markdown shows it unchanged."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]()<>#+-.!|~:$" else c for c in text)


def _notice(reader: StoreReader) -> None:
    wishes = wishes_of(reader)
    st.subheader("A notice for students", anchor=False)
    contact = st.text_input("Whom students can ask", key="notice_contact", placeholder="Name, e-mail", width=340)
    text = notice_text(
        room_only=wishes.room_only,
        pictures_days=wishes.pictures_kept_days,
        training_days=wishes.training_kept_days,
        may_train=wishes.may_train,
        contact=contact,
    )
    st.code(text, language=None, wrap_lines=True)
    st.download_button("Download the notice", text, file_name="notice.md", key="notice", on_click="ignore")
