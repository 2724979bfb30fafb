"""Connections to the outside: PostgreSQL, Redis, the job queue; nothing here knows the domain."""
