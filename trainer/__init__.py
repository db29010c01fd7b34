"""The room that learns from disagreement, offline, and measures."""
