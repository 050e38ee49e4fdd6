"""What became of each journey, by the database and the payment provider's ledger: closed, stopped, lost, doubled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from app.dev.chaos.crowd import Patient, found
from app.dev.journeys import PROCESS

RUNS = (
    "temporal AttendVisitWorkflow",
    "zeebe Process_Diagnostics",
    "temporal BillVisitWorkflow",
    "celery doctor-stats",
    "mail visit-over",
)
"""What a journey asks of other engines, once each."""
ONCE = ("instance.started", "appointment.booked", "diagnosis.recorded")
"""Events of the timeline that a closed journey has once."""
FORMS = ("Activity_Doctor", "Activity_Diagnosis", "Activity_Charge")
"""Forms to which no way leads back where every payment is accepted."""

INSTANCES = """
    select i.id::text, i.case_no, i.status from instance i join model m on m.id = i.model_id where m.process_id = $1
"""
INCIDENTS = """
    select distinct coalesce(i.case_no, r.case_no, o.case_no) as case_no, n.code || ' at ' || n.element_id as what
    from incident n left join instance i on i.id = n.instance_id left join engine_run r on r.id = n.run_id
    left join outbox o on o.id = n.outbox_id where n.resolved_at is null
"""
COUNTED = """
    select case_no as of, engine || ' ' || name as what, count(*) as n from engine_run
        where task_id is not null group by 1, 2
    union all select case_no, kind, count(*) from case_event where kind = any($1) group by 1, 2
    union all select i.case_no, t.element_id, count(*) from user_task t join instance i on i.id = t.instance_id
        where t.state = 'completed' and t.element_id = any($2) group by 1, 2
    union all select ticketid, 'appointment', count(*) from appointment group by 1
    union all select ticketid, 'payment', count(*) from payment where status and voided_at is null group by 1
    union all select narrative, 'diagnosis', count(*) from diagnosis group by 1
"""
"""How often each effect of a journey is there, by what it is known by: case, ticket or words of the diagnosis."""
PAID = "select paymentid, ticketid from payment"


@dataclass(slots=True)
class Reckoning:
    """Tickets or cases by what became of them; `missing` and `doubled` say what is wrong, and must be empty."""

    asked: int
    closed: int = 0
    stopped: list[str] = field(default_factory=list[str])
    """Not closed, with an open incident that names the case."""
    missing: list[str] = field(default_factory=list[str])
    doubled: list[str] = field(default_factory=list[str])

    @property
    def holds(self) -> bool:
        return not self.missing and not self.doubled and self.closed + len(self.stopped) == self.asked


async def reckon(database: str, patients: Sequence[Patient], charges: Sequence[Mapping[str, Any]]) -> Reckoning:
    """Hold every journey against the *database*, past the service, and the provider's *charges*."""
    connection = await asyncpg.connect(database)
    try:
        instances = {row["id"]: row for row in await connection.fetch(INSTANCES, PROCESS)}
        incidents = {row["case_no"]: row["what"] for row in await connection.fetch(INCIDENTS)}
        counts = await _counts(connection, charges)
    finally:
        await connection.close()
    made = Reckoning(len(patients))
    for patient in patients:
        _judge(made, patient, instances.get(patient.instance), incidents.get(patient.case), counts)
    known = {patient.instance for patient in patients}
    made.doubled += [f"case {row['case_no']} was begun by nobody" for one, row in instances.items() if one not in known]
    return made


async def _counts(connection: asyncpg.Connection, charges: Sequence[Mapping[str, Any]]) -> Counter[tuple[str, str]]:
    """How often there is what, by the case, the ticket or the words that stand for a journey."""
    rows = await connection.fetch(COUNTED, list(ONCE), list(FORMS))
    counts = Counter({(row["of"], row["what"]): int(row["n"]) for row in rows})
    tickets = {row["paymentid"]: row["ticketid"] for row in await connection.fetch(PAID)}
    counts.update((tickets[one["reference"]], "charge") for one in charges if one["reference"] in tickets)
    return counts


def _judge(made: Reckoning, patient: Patient, row: Any, incident: str | None, counts: Counter[tuple[str, str]]) -> None:
    name = patient.case or patient.ticket
    effects = _effects(patient)
    made.doubled += [f"{name} has {counts[key]} times {key[1]}" for key in effects if counts[key] > 1]
    if row is None:
        made.missing.append(f"{name} is not there: {patient.left or 'it was acknowledged'}")
    elif row["status"] == "completed":
        made.closed += 1
        made.missing += [f"{name} is closed without {key[1]}" for key in effects if counts[key] < 1]
    elif incident:
        made.stopped.append(f"{name}: {incident}")
    else:
        made.missing.append(f"{name} is {row['status']} without an incident: {patient.left or 'it was left'}")
    if patient.booked and not counts[patient.ticket, "appointment"]:
        made.missing.append(f"{name} was booked and has no appointment")


def _effects(patient: Patient) -> list[tuple[str, str]]:
    """What a closed journey has once."""
    of_case = [(patient.case, what) for what in (*RUNS, *ONCE, *FORMS)]
    of_ticket = [(patient.ticket, what) for what in ("appointment", "payment", "charge")]
    return [*of_case, *of_ticket, (found(patient.ticket), "diagnosis")]
