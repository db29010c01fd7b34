"""What was copied out of a store is known: who erases a student hears where else they are."""

from __future__ import annotations

from monitor.store.database import Store, StoreReader
from monitor.store.exports import DOWNLOAD, RESULTS, exports_of, note_export


def test_a_place_counts_once_and_knows_its_lectures(store: Store) -> None:
    note_export(store, RESULTS, "/results", ["algebra"])
    note_export(store, RESULTS, "/results", ["geometry"])
    note_export(store, DOWNLOAD, "annotations.csv")
    with StoreReader(store.path) as reader:
        told = [(one.kind, one.place, one.lecture_ids) for one in exports_of(reader)]
        geometry = [one.place for one in exports_of(reader, ["geometry"])]
        other = [one.place for one in exports_of(reader, ["latin"])]
    assert told == [("results", "/results", ("algebra", "geometry")), ("download", "annotations.csv", ())]
    assert geometry == ["/results", "annotations.csv"]
    assert other == ["annotations.csv"], "the whole store holds every lecture"


def test_what_held_the_whole_store_goes_on_doing_so(store: Store) -> None:
    note_export(store, RESULTS, "/results")
    note_export(store, RESULTS, "/results", ["algebra"])
    with StoreReader(store.path) as reader:
        assert [one.lecture_ids for one in exports_of(reader)] == [()]
