"""The record of every lecture: one SQLite file, one writer, many readers."""
