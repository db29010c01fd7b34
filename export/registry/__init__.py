"""Writes the registry, the folder of models that `monitor.registry` reads: entries, aliases, history."""
