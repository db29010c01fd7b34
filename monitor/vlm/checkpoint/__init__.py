"""A checkpoint run by torch: the embedded model's or any image-text-to-text model of transformers, asked and heard."""
