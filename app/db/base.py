"""The declarative base, naming of constraints and the column types that every table shares."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, Date, DateTime, Identity, Index, MetaData, Numeric, Text, Time, Uuid, literal_column
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

Serial = Annotated[int, mapped_column(Identity(), primary_key=True)]
BigSerial = Annotated[int, mapped_column(BigInteger, Identity(), primary_key=True)]


class Base(DeclarativeBase):
    """Every table. Times are `timestamptz`; money is `numeric`."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text,
        datetime: DateTime(timezone=True),
        date: Date,
        time: Time,
        Decimal: Numeric(12, 2),
        UUID: Uuid,
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
        list[str]: ARRAY(Text),
    }


def trigrams(name: str, expression: str) -> Index:
    """The index by which any part of *expression* is found; written as PostgreSQL writes it, so that both compare."""
    searched = literal_column(expression).label("searched")
    return Index(name, searched, postgresql_using="gin", postgresql_ops={"searched": "gin_trgm_ops"})
