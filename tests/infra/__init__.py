"""What the domains stand on: PostgreSQL, Redis, jobs."""
