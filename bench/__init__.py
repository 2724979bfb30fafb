"""Benchmarks: each measures the limit of the database in the same run and prints its ratio to it."""

from pathlib import Path

# Here, so that load programs, of which each measurement starts one, need not load all that a stack is made of.
ROOT = Path(__file__).parents[1]
