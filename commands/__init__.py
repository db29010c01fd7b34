"""The commands behind the front door: one command or one group of them a file."""
