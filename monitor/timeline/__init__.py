"""From single answers to a calm story: smoothing and episodes."""
