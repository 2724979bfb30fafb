"""Catching up: cursors that never pass what may still commit."""
