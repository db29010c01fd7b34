"""Rendered students with exact truth: people, rooms, gaze, stills, lectures."""
