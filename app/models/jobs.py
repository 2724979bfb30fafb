"""What sweeps remember between runs, and jobs that failed too often."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Integer, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, BigId, CreatedAt


class SweepMark(Base):
    """Up to which message id a sweep has looked."""

    __tablename__ = "sweep_marks"

    name: Mapped[str] = mapped_column(primary_key=True)
    message_id: Mapped[int]
    updated_at: Mapped[CreatedAt]


class SetAsideJob(Base):
    """An input on which a job failed, how often, and the last error; at the limit it is set aside and reported."""

    __tablename__ = "set_aside_jobs"
    __table_args__ = (UniqueConstraint("job", "subject"),)

    id: Mapped[BigId]
    job: Mapped[str]
    subject: Mapped[str]
    attempts: Mapped[int] = mapped_column(Integer)
    error: Mapped[str]
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
