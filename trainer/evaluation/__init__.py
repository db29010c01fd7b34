"""Measures of quality, with honest intervals."""
