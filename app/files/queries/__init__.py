"""Every SQL statement about files."""
