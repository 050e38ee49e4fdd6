"""The migrated tables are those of the specification: each column with its type, its keys, and nothing left out."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from app.db.session import reading

PERSON = {
    "username": "varchar(20) unique → login",
    "role": "integer",
    "firstname": "varchar(50)",
    "midname": "varchar(50)",
    "lastname": "varchar(50)",
    "email": "varchar(254)",
    "mobile": "varchar(15)",
}
EMPLOYEE = PERSON | {
    "empid": "varchar(12) unique",
    "position": "varchar(100)",
    "status": "boolean",
    "date_started": "date",
}
TABLES: dict[str, dict[str, str]] = {
    "login": {"username": "varchar(20) unique", "password": "varchar(255)"},
    "administrator": EMPLOYEE,
    "doctor": EMPLOYEE | {"age": "integer", "specialization": "varchar(100)"},
    "patient": PERSON
    | {
        "patientid": "integer unique",
        "birthday": "date",
        "age": "integer",
        "profession": "varchar(100)",
        "address": "varchar(200)",
        "date_registered": "date",
    },
    "appointment": {
        "ticketid": "varchar(20) unique",
        "patientid": "integer → patient",
        "docid": "varchar(12) → doctor",
        "priority_level": "integer",
        "date_scheduled": "date",
        "time_scheduled": "time",
        "consult_hrs": "numeric(12,2)",
    },
    "diagnosis": {
        "docid": "varchar(12) → doctor",
        "patientid": "integer → patient",
        "narrative": "varchar(500)",
        "resolution": "varchar(500)",
        "date_submitted": "date",
    },
    "payment": {
        "paymentid": "varchar(50) unique",
        "ticketid": "varchar(20)",
        "patientid": "integer → patient",
        "charge": "numeric(12,2)",
        "amount": "numeric(12,2)",
        "discount": "numeric(12,2)",
        "status": "boolean",
        "date_released": "date null",
    },
    "request": {
        "docid": "varchar(12) → doctor",
        "adminid": "varchar(12) → administrator",
        "details": "varchar(500)",
        "date_approved": "date null",
        "status": "boolean",
    },
}
OWN = {"deployment", "model", "instance", "user_task", "case_event", "engine_run", "worker_heartbeat", "outbox"}
COLUMNS = text("""
    select a.attname as name, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull as needed,
           exists (select from pg_constraint c where c.conrelid = a.attrelid and c.contype in ('u', 'p')
                   and c.conkey = array[a.attnum]) as alone,
           (select c.confrelid::regclass::text from pg_constraint c where c.conrelid = a.attrelid
            and c.contype = 'f' and c.conkey = array[a.attnum]) as leads_to
    from pg_attribute a where a.attrelid = to_regclass(:table) and a.attnum > 0 and not a.attisdropped
""")


def shown(row: Any) -> str:
    spelt = row.type.replace("character varying", "varchar").replace("time without time zone", "time")
    parts = [spelt, "" if row.needed else "null", "unique" if row.alone else ""]
    return " ".join(filter(None, [*parts, row.leads_to and f"→ {row.leads_to}"]))


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.usefixtures("database_url")
async def test_a_table_has_the_columns_of_the_specification(table: str) -> None:
    async with reading() as session:
        found = {row.name: shown(row) for row in await session.execute(COLUMNS, {"table": table})}
    assert found["id"] in ("integer unique", "bigint unique")
    assert {name: found.get(name) for name in TABLES[table]} == TABLES[table]


@pytest.mark.usefixtures("database_url")
async def test_what_the_engines_keep_has_tables_of_its_own_and_the_schema_its_stamp() -> None:
    async with reading() as session:
        found = await session.execute(text("select tablename from pg_tables where schemaname = 'public'"))
        assert {*OWN, "alembic_version"} - set(found.scalars()) == set()
        assert await session.scalar(text("select count(*) from alembic_version")) == 1
