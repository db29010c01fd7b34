"""Rendered students and lectures with exact truth."""
