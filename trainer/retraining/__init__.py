"""Retraining on what people corrected in a store: what there is to learn, what must not move, and the rounds."""
