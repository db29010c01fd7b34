"""A checkpoint run by torch: the embedded model's or any image-text-to-text model of transformers, asked and heard."""

import os

# Read once, when a library of the hub is first imported: here, before any module of this room does so.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
