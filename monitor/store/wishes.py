"""What people chose for all lectures of a store, and that they were told what it is for. Knows no page, no monitor."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

from monitor.errors import BadInputError
from monitor.store.database import Store
from monitor.store.encoding import time_of, time_text
from monitor.store.reader import StoreReader

ROOM_ONLY_VARIABLE = "CLASSROOM_ROOM_ONLY"
"""Set to 1: stores that say nothing themselves are room-only."""
DAY_S = 24 * 3600.0
MAX_KEPT_DAYS = 730
"""Two years: nothing is kept without an end."""
WORDS_VERSION = 1
"""Of the acknowledgement; with a new wording it is asked for again."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """One value each for the whole store."""

    room_only: bool = False
    """No view of single students, no pictures and no names: counts of the room alone."""
    review_crops_per_hour: int = 90
    """How many crops of a lecture hour are kept for review, at most; 0 keeps none."""
    pictures_kept_days: float = 7.0
    """Thumbnails, and crops that nobody has labelled."""
    training_kept_days: float = 180.0
    """Crops that were labelled and may be trained on."""
    may_train: bool = False
    """Whether those concerned agreed that a model learns from the crops that are labelled here."""
    two_people: bool = False
    """Whether a second person is asked to label as well."""
    alert_share: float = 0.5
    """The room's share away from screen and paper above which the live page says so, 0 to 1; 1 never does."""
    alert_after_s: float = 60.0
    """For how long it must have been above."""

    def __post_init__(self) -> None:
        days = (self.pictures_kept_days, self.training_kept_days)
        if any(not 0 < value <= MAX_KEPT_DAYS for value in days):
            raise BadInputError(f"pictures are kept for more than 0 and at most {MAX_KEPT_DAYS} days, found {days}")
        if not 0 <= self.review_crops_per_hour <= 3600:
            raise BadInputError(f"crops kept an hour lie between 0 and 3600, found {self.review_crops_per_hour}")
        if not 0 < self.alert_share <= 1 or not 0 <= self.alert_after_s <= 3600:
            raise BadInputError("an alert needs a share above 0 and up to 1, and at most an hour of time")


def wishes_of(reader: StoreReader) -> Wishes:
    """What was chosen; the defaults where nothing was."""
    return _wishes(dict(reader.rows("SELECT name, value FROM wishes")))


def current_wishes(store: Store) -> Wishes:
    """The same, for who writes: cheap enough to ask at each moment."""
    with store.reading("reading the settings") as connection:
        return _wishes(dict(connection.execute("SELECT name, value FROM wishes").fetchall()))


def change_wishes(store: Store, **changes: Any) -> Wishes:
    """Store the given values and leave the others.

    Room-only takes the newest pictures away at once; a shorter time counts for what is kept already, a longer one only
    for what comes.

    Raises:
        BadInputError: a value that cannot be.
        TypeError: no such wish.
    """
    with store.writing("changing the settings") as (connection, now):
        wishes = replace(current_wishes(store), **changes)
        for name in changes:
            value = json.dumps(asdict(wishes)[name])
            connection.execute("INSERT OR REPLACE INTO wishes VALUES (?, ?, ?)", (name, value, now))
        if wishes.room_only:
            connection.execute("DELETE FROM thumbnails")
        if {"pictures_kept_days", "training_kept_days"} & set(changes):
            _shorten(connection, wishes, time_of(now))
    return wishes


def acknowledge(store: Store, given_by: str) -> None:
    """Record that a person has read what the monitor is not for, and told the students."""
    who = given_by.strip()[:200]
    if not who:
        raise BadInputError("the acknowledgement needs a name, so that it is known who gave it")
    with store.writing("recording the acknowledgement") as (connection, now):
        connection.execute(
            "INSERT INTO acknowledgements (given_by, words_version, given_at) VALUES (?, ?, ?)",
            (who, WORDS_VERSION, now),
        )


def acknowledged(reader: StoreReader) -> tuple[str, datetime] | None:
    """Who gave the newest acknowledgement of the present wording, and when; None: nobody has."""
    rows = reader.rows(
        "SELECT given_by, given_at FROM acknowledgements WHERE words_version = ? "
        "ORDER BY acknowledgement_no DESC LIMIT 1",
        WORDS_VERSION,
    )
    return (str(rows[0][0]), time_of(rows[0][1])) if rows else None


def _shorten(connection: sqlite3.Connection, wishes: Wishes, now: datetime) -> None:
    """No picture is kept for longer than the wishes say, counted from now."""
    plain, training = (
        time_text(now + timedelta(days=days)) for days in (wishes.pictures_kept_days, wishes.training_kept_days)
    )
    connection.execute("UPDATE thumbnails SET keep_until = min(keep_until, ?)", (plain,))
    connection.execute(
        "UPDATE crops SET keep_until = min(keep_until, iif(EXISTS (SELECT 1 FROM annotations a WHERE "
        "a.crop_no = crops.crop_no AND a.may_train AND a.superseded_by IS NULL AND NOT a.withdrawn), ?, ?)) "
        "WHERE keep_until IS NOT NULL",
        (max(plain, training), plain),
    )


def _wishes(stored: Mapping[str, str]) -> Wishes:
    default = Wishes(room_only=os.environ.get(ROOM_ONLY_VARIABLE, "") == "1")
    known = {field.name for field in fields(Wishes)}
    return replace(default, **{name: json.loads(value) for name, value in stored.items() if name in known})
