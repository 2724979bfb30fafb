"""Identity: signing up and in, sessions and their tokens, one's own profile."""
