"""The room that watches, judges and records: live and in batch, with the same code."""
