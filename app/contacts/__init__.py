"""Whom people know, and whom they block."""
