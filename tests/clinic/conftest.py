"""A clinic of one doctor and a few patients, in a transaction that is rolled back after each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date, time

import pytest
from sqlalchemy import text

from app.core.settings import settings
from app.db.session import Session, dispose, engine
from tests.conftest import TEMPLATE, cluster

DOCTOR, OTHER = "HSP-900", "HSP-901"


@pytest.fixture(scope="session")
def left_empty(worker_id: str) -> str:
    """A migrated database in which nothing is ever committed."""
    name = f"dams_left_empty_{worker_id}"
    asyncio.run(cluster().create_database(name, TEMPLATE))
    return name


@pytest.fixture
async def clinic(left_empty: str, monkeypatch: pytest.MonkeyPatch, _settings: None) -> AsyncIterator[Session]:
    """Doctors HSP-900 and HSP-901 (Mondays 09:00-12:00, slots of 30 minutes), patients 1 to 5; open 08:00-18:00."""
    monkeypatch.setenv("DAMS_DATABASE__URL", cluster().serving_url(left_empty))
    settings.cache_clear()
    async with engine().connect() as session:
        outer = await session.begin()
        await fill(session)
        yield session
        await outer.rollback()
    await dispose()


async def fill(session: Session) -> None:
    for number, empid in enumerate((DOCTOR, OTHER)):
        await session.execute(
            text("insert into login (username, password) values (:name, '!')"), {"name": f"doc{number}"}
        )
        await session.execute(
            text("""insert into doctor (username, role, firstname, midname, lastname, email, mobile, empid, position,
                        age, specialization, status, date_started)
                    values (:name, 1, 'Mina', '', 'Sato', '', '', :empid, 'Physician', 47, 'Cardiology', true,
                        date '2020-01-01')"""),
            {"name": f"doc{number}", "empid": empid},
        )
        await hours(session, empid, 0, time(9), time(12))
    for number in range(1, 6):
        await session.execute(
            text("insert into login (username, password) values (:name, '!')"), {"name": f"pat{number}"}
        )
        await session.execute(
            text("""insert into patient (username, role, firstname, midname, lastname, email, mobile, patientid,
                        birthday, age, profession, address, date_registered)
                    values (:name, 2, 'Ana', '', 'Cruz', '', '', :number, date '1990-01-01', 36, '', '',
                        date '2024-01-01')"""),
            {"name": f"pat{number}", "number": number},
        )
    for weekday in range(7):
        await session.execute(
            text("insert into opening_hours (weekday, opens, closes) values (:day, time '08:00', time '18:00')"),
            {"day": weekday},
        )


async def hours(session: Session, docid: str, weekday: int, begins: time, ends: time, minutes: int = 30) -> None:
    await session.execute(
        text("""insert into doctor_hours (docid, weekday, begins, ends, slot_minutes, valid_from)
                values (:docid, :weekday, :begins, :ends, :minutes, :from)"""),
        {
            "docid": docid,
            "weekday": weekday,
            "begins": begins,
            "ends": ends,
            "minutes": minutes,
            "from": date(2020, 1, 1),
        },
    )
