"""Refusals that must be committed."""

from __future__ import annotations

from typing import TypeAlias, TypeVar

from app.errors import AppError

Answer = TypeVar("Answer")

Outcome: TypeAlias = Answer | AppError
"""An answer, or an error for the door to raise after the commit: raised inside, it would undo what it is about."""
