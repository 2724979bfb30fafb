"""Benchmarks: each measures the limit of the database in the same run and prints its ratio to it."""
