"""Paperplane: the backend of a Telegram Web clone."""
