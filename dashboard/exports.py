"""Downloads: files that the store writes, offered to the browser. Made in a folder of their own, which is then gone."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import streamlit as st

from monitor.errors import BusyError, StoreError
from monitor.report import write_report
from monitor.rubric import Rubric
from monitor.store.annotation_files import write_answers_csv, write_answers_parquet
from monitor.store.boris import write_boris
from monitor.store.database import Store
from monitor.store.eaf import write_eaf
from monitor.store.exchange import write_episodes_csv, write_labels_parquet
from monitor.store.exports import DOWNLOAD, note_export
from monitor.store.reader import StoreReader

Writes = Callable[[StoreReader, Path], object]


def offer_answers(reader: StoreReader, rubric: Rubric) -> None:
    """What people answered, as a table."""
    kinds: list[tuple[str, str, Writes]] = [
        ("Parquet", "annotations.parquet", lambda there, path: write_answers_parquet(there, rubric.rubric_id, path)),
        ("CSV", "annotations.csv", lambda there, path: write_answers_csv(there, rubric.rubric_id, path)),
    ]
    st.caption(
        "All answers: who gave each, when, and what which model had said. For one lecture's timeline, see Lectures."
    )
    _buttons(reader, kinds, f"answers-{rubric.rubric_id}", [])


def offer_lecture(reader: StoreReader, lecture_id: str) -> None:
    """One lecture: tables, and files for the programs of those who code behaviour."""
    ids = [lecture_id]
    kinds: list[tuple[str, str, Writes]] = [
        ("Report", "report.html", lambda there, path: write_report(there, lecture_id, path)),
        ("Labels (Parquet)", "labels.parquet", lambda there, path: write_labels_parquet(there, ids, path)),
        ("Episodes (CSV)", "episodes.csv", lambda there, path: write_episodes_csv(there, ids, path)),
        ("ELAN", f"{lecture_id}.eaf", lambda there, path: write_eaf(there, lecture_id, path)),
        ("BORIS", f"{lecture_id}.boris", lambda there, path: write_boris(there, lecture_id, path)),
    ]
    _buttons(reader, kinds, f"lecture-{lecture_id}", ids)


def _buttons(reader: StoreReader, kinds: list[tuple[str, str, Writes]], key: str, lecture_ids: list[str]) -> None:
    """A row of buttons; a file is made only when it is asked for, from the store as it is then, and written down."""
    store = reader.path
    with st.container(horizontal=True):
        for title, name, write in kinds:

            def make(write: Writes = write, name: str = name) -> bytes:
                file = _bytes_of(store, write, name)
                _note(store, f"{key}, {name}", lecture_ids)
                return file

            st.download_button(title, make, file_name=name, key=f"{key}-{name}", on_click="ignore")


def _note(store: Path, what: str, lecture_ids: list[str]) -> None:
    # An archive that cannot be written may be read all the same.
    with suppress(StoreError, BusyError), Store.open(store) as writer:
        note_export(writer, DOWNLOAD, what, lecture_ids)


def _bytes_of(store: Path, write: Writes, name: str) -> bytes:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, StoreReader(store) as reader:
        path = Path(folder) / Path(name).name
        write(reader, path)
        return path.read_bytes()
