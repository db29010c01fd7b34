"""One corpus a file, one record type out of all."""
