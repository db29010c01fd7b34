"""One file per claim; the last line printed is one JSON object."""
