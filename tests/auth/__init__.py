"""Signing in, from outside and from inside."""
