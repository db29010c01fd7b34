"""The report of a lecture: right counts, no names, nothing from the network, the same bytes each time."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from monitor.errors import StoreError
from monitor.report import tally, write_report
from monitor.schema import UNSURE, Lecture, Observation, Presence
from monitor.store.database import Store, StoreReader
from tests.monitor.builders import lecture, moment, observation, prediction


class _Page(HTMLParser):
    """Collects what a browser would see: text, tags left open, and addresses it would ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "data")]
        if tag not in ("meta", "line", "rect", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def _write(path: Path, *, seconds: int = 40, lecture_id: str = "algebra", source: str = "/home/me/class.mp4") -> None:
    """s01 at the screen, then at paper; s02's camera off; s03 unsure, and gone after half the time."""
    with Store.open(path, durable=False) as store:
        store.begin_lecture(lecture(lecture_id, source), model_id="tiny-1")
        for at in range(seconds):
            rows = [
                observation("s01", at, "screen" if at < seconds // 2 else "paper"),
                observation("s02", at, presence=Presence.CAMERA_OFF),
            ]
            if at < seconds // 2:
                doubtful = prediction("s03", at, "wander", 0.4, sure=False)
                rows.append(Observation("s03", rows[0].box, Presence.VISIBLE, doubtful, UNSURE))
            store.commit(moment(at, rows, lecture_id=lecture_id, names={"s01": "<script>alert(1)</script>"}))
        store.end_lecture(lecture_id, faults=["cut short after 41.2 s: <b>no moov</b>"])


def _report(store: Path, out: Path) -> str:
    with StoreReader(store) as reader:
        write_report(reader, "algebra", out)
    return out.read_text(encoding="utf-8")


def test_counts_every_moment_once(tmp_path: Path) -> None:
    _write(tmp_path / "a.db")
    with StoreReader(tmp_path / "a.db") as reader:
        record = reader.lecture("algebra")
        assert record is not None
        counted = tally(reader, record)
    assert counted.students == ("s01", "s02", "s03")
    assert counted.states == ("screen", "paper", "wander", UNSURE, "not visible")
    assert counted.counts.sum(axis=2).tolist() == [[20, 20, 0, 0, 0], [0, 0, 0, 0, 40], [0, 0, 0, 20, 0]]
    assert counted.counts.shape[2] * counted.bin_s >= 40
    assert counted.confidence[0] == pytest.approx(0.9)
    assert np.isnan(counted.confidence[1])


def test_is_one_page_that_asks_the_network_for_nothing(tmp_path: Path) -> None:
    _write(tmp_path / "a.db")
    text = _report(tmp_path / "a.db", tmp_path / "report.html")
    page = _Page(text)
    assert page.open == []
    assert page.addresses == []
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert "url(" not in text
    assert "default-src 'none'" in text
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"\$[a-z_]+", text), "a placeholder was left"


def test_says_what_was_seen_and_what_ran(tmp_path: Path) -> None:
    _write(tmp_path / "a.db")
    said = " ".join(_Page(_report(tmp_path / "a.db", tmp_path / "report.html")).texts)
    assert "33% at the screen, 33% at paper, 0% elsewhere, 33% unsure" in said
    for expected in ("class.mp4", "tiny-1", "Where is the student looking?", "every second, 40 moments", "s03"):
        assert expected in said
    assert "cut short after 41.2 s: <b>no moov</b>" in said, "escaped, so read as text"
    assert "grading" in said
    assert "/home/me" not in said


def test_holds_no_name(tmp_path: Path) -> None:
    _write(tmp_path / "a.db")
    assert "alert" not in _report(tmp_path / "a.db", tmp_path / "report.html")


def test_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        _write(tmp_path / f"{name}.db")
        _report(tmp_path / f"{name}.db", tmp_path / f"{name}.html")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert b"\r" not in (tmp_path / "a.html").read_bytes()
    assert sorted(path.suffix for path in tmp_path.glob("*.html*")) == [".html", ".html"]


def test_size_is_bounded_whatever_the_length(tmp_path: Path) -> None:
    _write(tmp_path / "short.db", seconds=200)
    _write(tmp_path / "long.db", seconds=2000)
    short, long = (len(_report(tmp_path / f"{name}.db", tmp_path / "r.html")) for name in ("short", "long"))
    assert long < 2 * short


def test_lecture_without_a_moment(tmp_path: Path) -> None:
    with Store.open(tmp_path / "a.db", durable=False) as store:
        store.begin_lecture(Lecture("algebra", "empty.mp4", "attention", datetime(2026, 1, 1, tzinfo=UTC)))
    said = " ".join(_Page(_report(tmp_path / "a.db", tmp_path / "report.html")).texts)
    assert "Nobody could be judged" in said


def test_affect_rubric_says_so(tmp_path: Path) -> None:
    with Store.open(tmp_path / "a.db", durable=False) as store:
        store.begin_lecture(lecture(rubric_id="engagenet"))
    said = " ".join(_Page(_report(tmp_path / "a.db", tmp_path / "report.html")).texts)
    assert "research only" in said
    assert "inner state" in said


def test_unknown_lecture_and_unwritable_place(tmp_path: Path) -> None:
    _write(tmp_path / "a.db", seconds=2)
    with StoreReader(tmp_path / "a.db") as reader:
        with pytest.raises(StoreError, match="no lecture 'geometry'"):
            write_report(reader, "geometry", tmp_path / "r.html")
        with pytest.raises(StoreError, match="cannot be written"):
            write_report(reader, "algebra", tmp_path / "missing" / "r.html")
