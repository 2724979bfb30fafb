"""People whom another call keeps."""

from __future__ import annotations


class Taken(Exception):
    """One of these people is in a call that has just begun, or should be over: nothing of the new one may stay."""

    def __init__(self, user_ids: list[int]) -> None:
        self.user_ids = user_ids
