"""The tables of the store, as numbered steps from an empty file to the newest version. Knows no record.

A step, once released, is never edited: a change is a new step at the end.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from monitor.errors import StoreError

APPLICATION_ID = 0x434C5352
""""CLSR" in the file's header: tells a store from the database of another program."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: its number is its place in MIGRATIONS, counted from 1."""

    name: str
    statements: tuple[str, ...]


_FIRST = Migration(
    "lectures, students, observations, episodes, thumbnails, status",
    (
        """CREATE TABLE lectures (
            lecture_no INTEGER PRIMARY KEY AUTOINCREMENT,
            lecture_id TEXT NOT NULL UNIQUE,
            source TEXT NOT NULL,
            rubric_id TEXT NOT NULL,
            rubric TEXT NOT NULL,             -- JSON snapshot, so that readers need no rubric file
            sample_period_s REAL NOT NULL,
            model_id TEXT,
            adapter_id TEXT,
            started_at TEXT,                  -- UTC of media time 0, where it is known
            opened_at TEXT NOT NULL,
            active_at TEXT NOT NULL,          -- UTC of the last moment or heartbeat
            ended_at TEXT,                    -- UTC of a clean end
            faults TEXT NOT NULL DEFAULT '[]',-- JSON list: what of the source could not be read
            students_before INTEGER NOT NULL, -- highest student_no when the lecture began: those it could know
            resume_index INTEGER,
            resume_pts_s REAL,
            resume_state TEXT
        )""",
        "CREATE INDEX lectures_by_source ON lectures (source, active_at)",
        """CREATE TABLE students (
            student_no INTEGER PRIMARY KEY AUTOINCREMENT,
            student_id TEXT NOT NULL UNIQUE,  -- the pseudonym; never used twice, not even after an erasure
            created_at TEXT NOT NULL,
            merged_into INTEGER REFERENCES students,
            erased_at TEXT
        )""",
        # The one table with names.
        """CREATE TABLE names (
            student_no INTEGER PRIMARY KEY REFERENCES students,
            name TEXT NOT NULL,
            name_key TEXT NOT NULL            -- case, accents and spaces folded
        )""",
        "CREATE INDEX names_by_key ON names (name_key)",
        # The pseudonyms that one lecture's monitor gives, and whom they mean in this store.
        """CREATE TABLE lecture_students (
            lecture_no INTEGER NOT NULL REFERENCES lectures,
            pseudonym TEXT NOT NULL,
            student_no INTEGER NOT NULL REFERENCES students,
            PRIMARY KEY (lecture_no, pseudonym)
        ) WITHOUT ROWID""",
        "CREATE INDEX lecture_students_by_student ON lecture_students (student_no, lecture_no)",
        """CREATE TABLE models (
            model_no INTEGER PRIMARY KEY,
            model_id TEXT NOT NULL,
            adapter_id TEXT NOT NULL          -- empty: none
        )""",
        "CREATE UNIQUE INDEX models_by_id ON models (model_id, adapter_id)",
        """CREATE TABLE moments (
            lecture_no INTEGER NOT NULL REFERENCES lectures,
            idx INTEGER NOT NULL,
            pts_s REAL NOT NULL,
            captured_at TEXT,
            committed_at TEXT NOT NULL,
            PRIMARY KEY (lecture_no, idx)
        ) WITHOUT ROWID""",
        "CREATE INDEX moments_by_time ON moments (lecture_no, pts_s)",
        """CREATE TABLE observations (
            lecture_no INTEGER NOT NULL,
            idx INTEGER NOT NULL,
            student_no INTEGER NOT NULL REFERENCES students,
            x1 INTEGER NOT NULL,
            y1 INTEGER NOT NULL,
            x2 INTEGER NOT NULL,
            y2 INTEGER NOT NULL,
            presence TEXT NOT NULL,
            state TEXT,                       -- the smoothed label
            label TEXT,                       -- the raw answer, or unsure
            best TEXT,
            confidence REAL,
            probabilities BLOB,               -- little-endian float32, in the order of the rubric's labels
            model_no INTEGER REFERENCES models,
            crop_id TEXT,
            latency_ms REAL,
            PRIMARY KEY (lecture_no, idx, student_no),
            FOREIGN KEY (lecture_no, idx) REFERENCES moments
        ) WITHOUT ROWID""",
        "CREATE INDEX observations_by_student ON observations (student_no, lecture_no, idx)",
        """CREATE TABLE episodes (
            lecture_no INTEGER NOT NULL REFERENCES lectures,
            student_no INTEGER NOT NULL REFERENCES students,
            started_s REAL NOT NULL,
            ended_s REAL NOT NULL,
            state TEXT NOT NULL,
            confidence REAL,
            PRIMARY KEY (lecture_no, student_no, started_s)
        ) WITHOUT ROWID""",
        """CREATE TABLE thumbnails (
            lecture_no INTEGER NOT NULL REFERENCES lectures,
            student_no INTEGER NOT NULL REFERENCES students,
            jpeg BLOB NOT NULL,
            pts_s REAL NOT NULL,
            keep_until TEXT NOT NULL,
            PRIMARY KEY (lecture_no, student_no)
        )""",
        "CREATE INDEX thumbnails_by_age ON thumbnails (keep_until)",
        """CREATE TABLE status (
            lecture_no INTEGER PRIMARY KEY REFERENCES lectures,
            updated_at TEXT NOT NULL,
            state TEXT NOT NULL,
            captured INTEGER NOT NULL,
            dropped INTEGER NOT NULL,
            delivered INTEGER NOT NULL,
            queued INTEGER NOT NULL,
            p50_ms REAL,
            p95_ms REAL,
            source_state TEXT NOT NULL,
            students INTEGER NOT NULL
        )""",
        """CREATE TABLE opt_outs (
            student_no INTEGER PRIMARY KEY REFERENCES students,
            since_at TEXT NOT NULL
        )""",
    ),
)

_REVIEW = Migration(
    "crops kept for review, predictions on them, annotations, the review queue",
    (
        # Pictures that people label: cut out of a lecture, or stills of a corpus from outside.
        """CREATE TABLE crops (
            crop_no INTEGER PRIMARY KEY AUTOINCREMENT,
            crop_id TEXT NOT NULL UNIQUE,
            sha256 TEXT NOT NULL,             -- of the bytes of the picture, also when they are gone
            picture BLOB,                     -- PNG or JPEG; NULL once its time is over
            kept_at TEXT NOT NULL,
            keep_until TEXT,                  -- NULL: until it is erased
            lecture_no INTEGER REFERENCES lectures,
            student_no INTEGER REFERENCES students,
            pts_s REAL,
            corpus TEXT,                      -- kind of the corpus, for those from outside
            item_id TEXT,                     -- of the still in its corpus
            person TEXT,
            video TEXT,
            CHECK ((lecture_no IS NULL) = (student_no IS NULL)),
            CHECK ((lecture_no IS NULL) = (corpus IS NOT NULL))
        )""",
        "CREATE INDEX crops_by_student ON crops (student_no, lecture_no)",
        "CREATE INDEX crops_by_age ON crops (keep_until) WHERE picture IS NOT NULL",
        # What models said about kept crops, beside what the lecture's own said at the time.
        """CREATE TABLE crop_predictions (
            prediction_no INTEGER PRIMARY KEY AUTOINCREMENT,
            crop_no INTEGER NOT NULL REFERENCES crops ON DELETE CASCADE,
            model_no INTEGER NOT NULL REFERENCES models,
            rubric_id TEXT NOT NULL,
            label TEXT NOT NULL,              -- or unsure
            best TEXT NOT NULL,
            probabilities TEXT NOT NULL,      -- JSON object, label -> probability
            predicted_at TEXT NOT NULL,
            UNIQUE (crop_no, model_no, rubric_id)
        )""",
        # Append-only: a correction is a new row, and the row before it names it.
        """CREATE TABLE annotations (
            annotation_no INTEGER PRIMARY KEY AUTOINCREMENT,
            annotation_id TEXT NOT NULL UNIQUE,
            crop_no INTEGER NOT NULL REFERENCES crops ON DELETE CASCADE,
            prediction_no INTEGER REFERENCES crop_predictions ON DELETE CASCADE,
            rubric_id TEXT NOT NULL,
            label TEXT,                       -- NULL: can't tell
            withdrawn INTEGER NOT NULL,       -- 1: takes back what it supersedes, and says nothing itself
            annotator_id TEXT NOT NULL,
            blind INTEGER NOT NULL,           -- 1: the model's answer was not shown
            may_train INTEGER NOT NULL,
            created_at TEXT NOT NULL,
            undoes INTEGER REFERENCES annotations DEFERRABLE INITIALLY DEFERRED,   -- an undo: the row taken back
            restores INTEGER REFERENCES annotations DEFERRABLE INITIALLY DEFERRED, -- and the one that counts again
            superseded_by INTEGER REFERENCES annotations DEFERRABLE INITIALLY DEFERRED
        )""",
        "CREATE INDEX annotations_by_successor ON annotations (superseded_by)",
        "CREATE UNIQUE INDEX annotations_by_undone ON annotations (undoes)",
        "CREATE INDEX annotations_by_restored ON annotations (restores)",
        # One current row per annotator, crop and rubric, whatever two dashboards do at once.
        """CREATE UNIQUE INDEX annotations_current ON annotations (crop_no, rubric_id, annotator_id)
            WHERE superseded_by IS NULL""",
        """CREATE TRIGGER annotations_are_append_only BEFORE UPDATE ON annotations
            WHEN OLD.superseded_by IS NOT NULL OR NEW.superseded_by IS NULL
                OR OLD.annotation_id != NEW.annotation_id OR OLD.crop_no != NEW.crop_no OR OLD.label IS NOT NEW.label
                OR OLD.annotator_id != NEW.annotator_id OR OLD.blind != NEW.blind OR OLD.may_train != NEW.may_train
                OR OLD.withdrawn != NEW.withdrawn OR OLD.created_at != NEW.created_at OR OLD.rubric_id != NEW.rubric_id
            BEGIN SELECT RAISE(ABORT, 'annotations are append-only'); END""",
        """CREATE TABLE review_queue (
            crop_no INTEGER NOT NULL REFERENCES crops ON DELETE CASCADE,
            rubric_id TEXT NOT NULL,
            reason TEXT NOT NULL,
            priority REAL NOT NULL,           -- highest first
            annotators INTEGER NOT NULL,      -- how many people are to label it
            queued_at TEXT NOT NULL,
            PRIMARY KEY (crop_no, rubric_id)
        ) WITHOUT ROWID""",
        "CREATE INDEX review_queue_by_priority ON review_queue (rubric_id, priority)",
    ),
)

_WISHES = Migration(
    "wishes, acknowledgements, pauses, notes on a lecture, changes of the roster",
    (
        # What people chose on the dashboard, for all lectures of the store.
        """CREATE TABLE wishes (
            name TEXT PRIMARY KEY,
            value TEXT NOT NULL,              -- JSON
            changed_at TEXT NOT NULL
        ) WITHOUT ROWID""",
        """CREATE TABLE acknowledgements (
            acknowledgement_no INTEGER PRIMARY KEY AUTOINCREMENT,
            given_by TEXT NOT NULL,
            words_version INTEGER NOT NULL,   -- which wording was read
            given_at TEXT NOT NULL
        )""",
        # Present: the monitor of this lecture is to look away until it is gone.
        """CREATE TABLE pauses (
            lecture_no INTEGER PRIMARY KEY REFERENCES lectures,
            asked_at TEXT NOT NULL
        )""",
        """CREATE TABLE lecture_notes (
            note_no INTEGER PRIMARY KEY AUTOINCREMENT,
            note_id TEXT NOT NULL UNIQUE,     -- made by who writes, so that a click sent twice is one note
            lecture_no INTEGER NOT NULL REFERENCES lectures,
            pts_s REAL NOT NULL,
            text TEXT NOT NULL,
            created_at TEXT NOT NULL,
            withdrawn_at TEXT
        )""",
        "CREATE INDEX lecture_notes_by_time ON lecture_notes (lecture_no, pts_s)",
        # Renames, merges and splits of students, with what it takes to undo each.
        """CREATE TABLE roster_changes (
            change_no INTEGER PRIMARY KEY AUTOINCREMENT,
            kind TEXT NOT NULL,
            student_no INTEGER NOT NULL REFERENCES students,
            other_no INTEGER REFERENCES students,
            told TEXT NOT NULL,               -- JSON; may hold a name, so it goes with the student
            made_at TEXT NOT NULL,
            undone_at TEXT
        )""",
    ),
)

_SHADOW = Migration(
    "what a challenger answers beside the model in use",
    (
        # On the row of the observation, so that they go wherever it goes: merged, split off, erased.
        "ALTER TABLE observations ADD COLUMN shadow_no INTEGER REFERENCES models",
        "ALTER TABLE observations ADD COLUMN shadow_label TEXT",
        "ALTER TABLE observations ADD COLUMN shadow_best TEXT",
        "ALTER TABLE observations ADD COLUMN shadow_confidence REAL",
        """CREATE INDEX observations_by_shadow ON observations (shadow_no, model_no, best, shadow_best)
            WHERE shadow_no IS NOT NULL""",
        # 1: said by a challenger in shadow, and never shown as what the model said.
        "ALTER TABLE crop_predictions ADD COLUMN shadow INTEGER NOT NULL DEFAULT 0",
    ),
)

_EXPORTS = Migration(
    "what was copied out of the store, and where it went",
    (
        # Nothing of it is in the store's own hands any more: whoever erases a student must know of it.
        """CREATE TABLE exports (
            export_no INTEGER PRIMARY KEY AUTOINCREMENT,
            kind TEXT NOT NULL,
            place TEXT NOT NULL,              -- a folder, or what a browser was given
            lectures TEXT NOT NULL,           -- JSON list of lecture ids; empty: the whole store
            written_at TEXT NOT NULL,         -- the last time
            UNIQUE (kind, place)
        )""",
    ),
)

MIGRATIONS: tuple[Migration, ...] = (_FIRST, _REVIEW, _WISHES, _SHADOW, _EXPORTS)


def stored_version(connection: sqlite3.Connection, path: Path) -> int:
    """Which version the file has; 0 when it is empty.

    Raises:
        StoreError: the file is a database of another program.
    """
    # One statement sees one state of the file, also while another program makes its tables.
    counted = "SELECT count(*), coalesce(sum(name = 'migrations'), 0) FROM sqlite_master"
    tables, ours = connection.execute(counted).fetchone()
    if not tables:
        return 0
    if not ours or connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise StoreError(f"{path}: a database of another program, expected a classroom store. Choose another --store.")
    return int(connection.execute("SELECT coalesce(max(version), 0) FROM migrations").fetchone()[0])


def refuse_newer(version: int, path: Path, migrations: tuple[Migration, ...] = MIGRATIONS) -> None:
    """Refuse a file that a newer program has changed: writing to it would lose what this one does not know.

    Raises:
        StoreError: naming both versions.
    """
    if version > len(migrations):
        raise StoreError(
            f"{path}: a store of version {version}, and this program knows up to version {len(migrations)}. "
            "Upgrade it (pip install --upgrade classroom-monitor), or choose another --store."
        )


def migrate(connection: sqlite3.Connection, path: Path, migrations: tuple[Migration, ...] = MIGRATIONS) -> int:
    """Bring the file to the newest version, each step whole or not at all; returns how many steps were taken.

    Raises:
        StoreError: a newer version, or another program's database.
    """
    taken = 0
    while True:
        version = stored_version(connection, path)
        refuse_newer(version, path, migrations)
        if version == len(migrations):
            return taken
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Another process may have taken the step while this one waited for the lock.
            if stored_version(connection, path) == version:
                _take(connection, version + 1, migrations[version])
                taken += 1
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _take(connection: sqlite3.Connection, number: int, step: Migration) -> None:
    if number == 1:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(
            "CREATE TABLE migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL)"
        )
    for statement in step.statements:
        connection.execute(statement)
    connection.execute(
        "INSERT INTO migrations VALUES (?, ?, ?)", (number, step.name, datetime.now(UTC).isoformat(timespec="seconds"))
    )
