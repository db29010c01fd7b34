"""Tests of trainer.preference."""
