"""A clinic of the size that pages must bear: made in bulk by PostgreSQL itself, appointments without an overlap."""

from __future__ import annotations

from collections.abc import Callable

import asyncpg

DOCTORS = 200
SLOTS = 16
"""Appointments of a doctor on a day, of half an hour each, from eight in the morning (UTC) on."""

PEOPLE = """
    insert into login (username, password) select 'bd' || n, '!' from generate_series(1, {doctors}) n
        on conflict do nothing;
    insert into login (username, password) select 'bp' || n, '!' from generate_series(1, {patients}) n
        on conflict do nothing;
    insert into doctor (username, role, firstname, midname, lastname, email, mobile, empid, position, age,
                        specialization, status, date_started)
        select 'bd' || n, 1, 'Doc', '', 'Bench' || n, '', '', 'B-' || n, 'Physician', 40, 'Trade ' || n % 20, true,
               date '2020-01-01' from generate_series(1, {doctors}) n on conflict do nothing;
    insert into doctor_hours (docid, weekday, begins, ends, slot_minutes, valid_from)
        select 'B-' || n, day, '08:00', '17:00', 30, date '2020-01-01'
        from generate_series(1, {doctors}) n, generate_series(0, 4) day;
    insert into patient (username, role, firstname, midname, lastname, email, mobile, patientid, birthday, age,
                         profession, address, date_registered)
        select 'bp' || n, 2, (array['Ana','Ben','Cora','Dan','Elif','Farid','Grace','Hugo','Iris','Jamal'])[1 + n % 10],
               '', substr(md5(n::text), 1, 8), 'p' || n || '@bench.example', '555-' || n, 100000 + n,
               date '1950-01-01' + n % 20000, 40, '', n || ' Harbour Street', date '2024-01-01'
        from generate_series(1, {patients}) n on conflict do nothing;
"""
APPOINTMENTS = """
    insert into appointment (ticketid, patientid, docid, priority_level, date_scheduled, time_scheduled, consult_hrs,
                             during, status)
    select 'B-' || n, 100001 + n % {patients}, 'B-' || (1 + n % {doctors}), 3, begins::date, begins::time, 0.5,
           tstzrange(begins, begins + interval '30 min'), case when begins < now() then 'fulfilled' else 'booked' end
    from (select n, date_trunc('day', now()) + interval '8 hours'
                 + make_interval(days => (n / {doctors} / {slots})::int - {days} * 4 / 5,
                                 mins => 30 * (n / {doctors} % {slots})::int) as begins
          from generate_series(0, {appointments} - 1) n) each
"""
GUARDS = (
    ("ex_appointment_doctor", "docid", " and overbooked is null"),
    ("ex_appointment_patient", "patientid", ""),
)
LIVE = "status in ('pending', 'booked', 'arrived', 'checked-in')"


async def fill(url: str, patients: int, appointments: int, say: Callable[[str], None]) -> None:
    """Fill the database of *url* (the owner's). Both exclusion constraints are built anew, so they hold afterwards."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""), timeout=30, command_timeout=3600)
    size = {"patients": patients, "appointments": appointments, "doctors": DOCTORS, "slots": SLOTS}
    size["days"] = appointments // DOCTORS // SLOTS
    try:
        say(f"{patients} patients, {DOCTORS} doctors")
        await connection.execute(PEOPLE.format(**size))
        say(f"{appointments} appointments")
        for name, _column, _further in GUARDS:
            await connection.execute(f"alter table appointment drop constraint {name}")
        await connection.execute(APPOINTMENTS.format(**size))
        for name, column, further in GUARDS:
            await connection.execute(
                f"alter table appointment add constraint {name} exclude using gist ({column} with =, during with &&)"
                f" where ({LIVE}{further})"
            )
        await connection.execute(
            """insert into diagnosis (docid, patientid, narrative, resolution, date_submitted)
               select docid, patientid, 'Finding ' || id, 'Advice', date_scheduled from appointment
               where id % 10 = 0 and docid like 'B-%'"""
        )
        await connection.execute(
            """insert into payment (paymentid, ticketid, patientid, charge, amount, discount, status)
               select 'B-' || id, ticketid, patientid, 100, 100, 0, true from appointment
               where id % 5 = 0 and docid like 'B-%'"""
        )
        await connection.execute("vacuum analyze")
    finally:
        await connection.close()
