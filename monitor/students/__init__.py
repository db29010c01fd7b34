"""Who is where in a frame: tiles or faces, tracks, names, crops."""
