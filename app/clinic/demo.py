"""A believable clinic for trying DAMS out: users of every role, doctors, patients, a week of appointments.

Everything is made up. Seeding again adds what is missing and changes nothing else, except that the demo users get
the password that is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import text

from app.clinic import accounts
from app.core.settings import settings
from app.db.session import Session

USERS = {
    "admin": ("Ada Lindqvist", ["admin"]),
    "staff": ("Rosa Alvarez", ["staff"]),
    "doctor": ("Dr. Mina Sato", ["doctor"]),
    "patient": ("Ana Cruz", ["patient"]),
    "modeler": ("Tomasz Wilk", ["modeler"]),
    "ops": ("Kwame Boateng", ["ops"]),
}
GROUPS = {"reception": ["staff"], "billing": ["staff", "admin"], "on-call": ["doctor"]}
DOCTORS = (
    ("Mina", "Sato", "Cardiology", 47),
    ("Lucas", "Moreau", "Cardiology", 39),
    ("Ingrid", "Halvorsen", "Cardiology", 58),
    ("Priya", "Raman", "Dermatology", 41),
    ("Owen", "Fitzgerald", "Dermatology", 35),
    ("Chiamaka", "Eze", "Pediatrics", 44),
    ("Jonas", "Brandt", "Pediatrics", 52),
    ("Leila", "Haddad", "Orthopedics", 49),
    ("Marek", "Novotny", "Orthopedics", 37),
    ("Sofia", "Pereira", "Neurology", 55),
    ("Daniel", "Okafor", "Neurology", 43),
    ("Hana", "Kim", "Ophthalmology", 40),
    ("Viktor", "Lazarov", "Ophthalmology", 61),
    ("Amelia", "Grant", "General Practice", 36),
)
FIRST = (
    "Ana",
    "Ben",
    "Cora",
    "Dan",
    "Elif",
    "Farid",
    "Grace",
    "Hugo",
    "Iris",
    "Jamal",
    "Keiko",
    "Liam",
    "Mara",
    "Nils",
)
LAST = ("Cruz", "Ito", "Lim", "Roe", "Vance", "Wu", "Paz", "Berg", "Costa", "Dube", "Engel", "Frank", "Gill")
PROFESSIONS = ("teacher", "driver", "student", "baker", "engineer", "retired", "nurse", "carpenter")
PATIENTS = 48
ADMINISTRATORS = (("HSP-100", "admin", "Ada", "Lindqvist"), ("HSP-101", "hsp101", "Ruth", "Mbeki"))


async def seed(session: Session, password: str) -> None:
    """Users, profiles, groups, appointments and diagnoses of the demo clinic. *password* is the demo users'."""
    await _users(session, password)
    await _logins(session, [username for _empid, username, *_ in ADMINISTRATORS])
    await _logins(session, [row["username"] for row in _doctors()] + [row["username"] for row in _patients()])
    await session.execute(_insert("administrator", _ADMINISTRATOR), [*_administrators()])
    await session.execute(_insert("doctor", _DOCTOR), [*_doctors()])
    await session.execute(_insert("patient", _PATIENT), [*_patients()])
    await _name_logins(session)
    await session.execute(_insert("appointment", _APPOINTMENT, ", during"), [*_appointments()])
    await _agenda(session)
    if not await session.scalar(text("select exists(select from diagnosis)")):
        await session.execute(_insert("diagnosis", _DIAGNOSIS), [*_diagnoses()])


async def _users(session: Session, password: str) -> None:
    known = {
        row.username: row
        for row in await session.execute(
            text("select id, username, password from login where username = any(:names)"), {"names": list(USERS)}
        )
    }
    for username, (shown, roles) in USERS.items():
        if username not in known:
            email = f"{username}@demo.example"
            await accounts.create(session, username, password, roles, display_name=shown, email=email)
        elif not _same(known[username].password, password):
            await accounts.set_password(session, known[username].id, password)
    for group, members in GROUPS.items():
        await session.execute(
            text("insert into candidate_group (name) values (:name) on conflict do nothing"), {"name": group}
        )
        await session.execute(
            text("""insert into group_member (group_id, login_id)
                    select g.id, l.id from candidate_group g, login l where g.name = :group
                    and l.username = any(:members) on conflict do nothing"""),
            {"group": group, "members": members},
        )


def _same(stored: str, password: str) -> bool:
    try:
        return accounts.hasher().verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


async def _logins(session: Session, usernames: list[str]) -> None:
    await session.execute(
        text("insert into login (username, password) values (:username, :password) on conflict do nothing"),
        [{"username": username, "password": accounts.NO_SIGN_IN} for username in usernames],
    )


async def _name_logins(session: Session) -> None:
    """Whoever has a profile is shown by its name, also those who do not sign in."""
    for table in ("administrator", "doctor", "patient"):
        await session.execute(
            text(f"""update login l set display_name = concat(p.firstname, ' ', p.lastname), email = p.email
                     from {table} p where p.username = l.username and l.display_name = ''""")  # noqa: S608 - three names
        )


_PERSON = ("username", "role", "firstname", "midname", "lastname", "email", "mobile")
_ADMINISTRATOR = (*_PERSON, "empid", "position", "status", "date_started")
_DOCTOR = (*_ADMINISTRATOR, "age", "specialization")
_PATIENT = (*_PERSON, "patientid", "birthday", "age", "profession", "address", "date_registered")
_APPOINTMENT = ("ticketid", "patientid", "docid", "priority_level", "date_scheduled", "time_scheduled", "consult_hrs")
_DIAGNOSIS = ("docid", "patientid", "narrative", "resolution", "date_submitted")


def _insert(table: str, columns: tuple[str, ...], further: str = "") -> Any:
    values = ", ".join(f":{column}" for column in columns) + (", tstzrange(:begins, :ends)" if further else "")
    return text(
        f"insert into {table} ({', '.join(columns)}{further}) values ({values}) on conflict do nothing"  # noqa: S608
    )


def _person(username: str, role: int, first: str, last: str) -> dict[str, Any]:
    return {
        "username": username,
        "role": role,
        "firstname": first,
        "midname": "",
        "lastname": last,
        "email": f"{username}@demo.example",
        "mobile": "555-0100",
    }


def _administrators() -> Iterator[dict[str, Any]]:
    for empid, username, first, last in ADMINISTRATORS:
        work = {"empid": empid, "position": "Practice manager", "status": True, "date_started": date(2019, 3, 1)}
        yield _person(username, 0, first, last) | work


def _doctors() -> Iterator[dict[str, Any]]:
    for number, (first, last, specialization, age) in enumerate(DOCTORS):
        empid = f"HSP-{200 + number}"
        username = "doctor" if number == 0 else empid.lower()
        work = {"empid": empid, "position": "Physician", "status": True, "date_started": date(2015 + number % 9, 9, 1)}
        yield _person(username, 1, first, last) | work | {"age": age, "specialization": specialization}


def _patients() -> Iterator[dict[str, Any]]:
    for number in range(1, PATIENTS + 1):
        first, last = FIRST[(number - 1) % len(FIRST)], LAST[(number - 1) % len(LAST)]
        username = "patient" if number == 1 else f"p{number:04}"
        born = date(1938 + (number * 37) % 80, 1 + number % 12, 1 + number % 28)
        yield _person(username, 2, first, last) | {
            "patientid": number,
            "birthday": born,
            "age": date(2026, 1, 1).year - born.year,
            "profession": PROFESSIONS[number % len(PROFESSIONS)],
            "address": f"{number} Harbour Street",
            "date_registered": date(2024, 1 + number % 12, 1 + number % 28),
        }


def _appointments() -> Iterator[dict[str, Any]]:
    """Doctor HSP-200 sees patients 1 and 2, the others one patient each, on the coming weekdays at local times."""
    zone = ZoneInfo(settings().clinic.time_zone)
    pairs = [(0, 1), (0, 2)] + [(number, number + 2) for number in range(1, len(DOCTORS))]
    day = datetime.now(UTC).astimezone(zone).date()
    for number, (doctor, patient) in enumerate(pairs):
        on = _weekday(day + timedelta(days=1 + number % 5))
        begins = datetime(on.year, on.month, on.day, 9 + number % 7, 30 * (number % 2), tzinfo=zone)
        yield {
            "ticketid": f"DEMO-{number + 1:03}",
            "patientid": patient,
            "docid": f"HSP-{200 + doctor}",
            "priority_level": 1 + number % 5,
            "date_scheduled": on,
            "time_scheduled": begins.time(),
            "consult_hrs": Decimal("0.50"),
            "begins": begins,
            "ends": begins + timedelta(minutes=30),
        }


async def _agenda(session: Session) -> None:
    """Open on weekdays and on Saturday morning; each doctor sees patients in the morning and on most afternoons."""
    if await session.scalar(text("select exists(select from opening_hours)")):
        return
    await session.execute(
        text("insert into opening_hours (weekday, opens, closes) values (:weekday, :opens, :closes)"),
        [{"weekday": day, "opens": time(8), "closes": time(18) if day < 5 else time(13)} for day in range(6)],
    )
    await session.execute(
        text("insert into holiday (day, name) values (:day, :name) on conflict do nothing"),
        [{"day": date(year, 12, 25), "name": "Christmas Day"} for year in range(2026, 2030)]
        + [{"day": date(year, 1, 1), "name": "New Year's Day"} for year in range(2027, 2031)],
    )
    await session.execute(
        text("""insert into doctor_hours (docid, weekday, begins, ends, slot_minutes, valid_from)
                values (:docid, :weekday, :begins, :ends, :slot_minutes, date '2026-01-01')"""),
        [*_hours()],
    )


def _hours() -> Iterator[dict[str, Any]]:
    for number in range(len(DOCTORS)):
        shared = {"docid": f"HSP-{200 + number}", "slot_minutes": 30 if number % 3 or not number else 20}
        for weekday in range(6 if number % 4 == 0 else 5):
            yield shared | {"weekday": weekday, "begins": time(9), "ends": time(12, 30)}
            if weekday < 5 and (weekday + number) % 5:
                yield shared | {"weekday": weekday, "begins": time(13, 30), "ends": time(17)}


def _weekday(day: date) -> date:
    return day + timedelta(days=max(0, 7 - day.weekday())) if day.weekday() > 4 else day


def _diagnoses() -> Iterator[dict[str, Any]]:
    for patient, narrative, resolution in (
        (1, "Palpitations after exercise, ECG without findings.", "Holter monitor for 24 hours."),
        (2, "High blood pressure over three readings.", "Start of medication, control in two weeks."),
    ):
        yield {
            "docid": "HSP-200",
            "patientid": patient,
            "narrative": narrative,
            "resolution": resolution,
            "date_submitted": date(2026, 11, 2),
        }
