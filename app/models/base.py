"""What all tables share."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Identity, MetaData, Text, Uuid, func, text
from sqlalchemy.orm import DeclarativeBase, mapped_column

BigId = Annotated[int, mapped_column(BigInteger, Identity(), primary_key=True)]
CreatedAt = Annotated[datetime, mapped_column(server_default=func.now())]
Counter = Annotated[int, mapped_column(BigInteger, server_default=text("0"))]
"""A number that starts at 0: a seq, a revision, a count."""


class Base(DeclarativeBase):
    """The root of the tables; text, bigint and timestamptz unless a column says otherwise."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {str: Text, int: BigInteger, datetime: DateTime(timezone=True), UUID: Uuid}  # noqa: RUF012
