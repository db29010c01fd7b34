"""When the live page paints: as soon as there is a new moment, and now and then all the same."""

from __future__ import annotations

import time
from pathlib import Path

from dashboard.page_live import Painted
from monitor.store.database import Store, StoreReader
from tests.dashboard.lectures import write_lecture
from tests.monitor.builders import moment


def test_a_new_moment_is_painted_at_the_next_look(tmp_path: Path) -> None:
    path = tmp_path / "class.db"
    write_lecture(path, 3, 20, odd=False)
    with StoreReader(path) as reader, Store.open(path, durable=False) as store:
        newest = reader.newest_index("algebra")
        assert newest == 19
        painted = Painted("algebra", newest, time.monotonic(), {})
        assert painted.holds("algebra", reader.newest_index("algebra")), "nothing new: the page is left as it is"
        assert not painted.holds("geometry", newest)
        store.resume_point("algebra")
        store.commit(moment(20, students=["s01"]))
        assert not painted.holds("algebra", reader.newest_index("algebra"))


def test_ages_grow_though_nothing_is_stored() -> None:
    assert not Painted("algebra", 19, time.monotonic() - 1.6, {}).holds("algebra", 19)


def test_no_moment_yet(tmp_path: Path) -> None:
    with Store.open(tmp_path / "class.db", durable=False), StoreReader(tmp_path / "class.db") as reader:
        assert reader.newest_index("algebra") is None
