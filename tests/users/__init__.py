"""Finding and showing people."""
