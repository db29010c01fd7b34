"""Preference training on TRL's trainers: pictures encoded once, reference answers cached, prompts shared."""
