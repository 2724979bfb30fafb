"""The HTTP edge: reading and checking input, signing in, limits, errors, documentation."""
