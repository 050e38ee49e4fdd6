"""What the diagnosis process does for the clinic: register a new patient, keep the diagnosis, bill the visit."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from app.clinic import billing, charges, diagnoses, profiles
from app.clinic.billing import Bill
from app.clinic.charges import Due
from app.core.errors import Invalid
from app.db.session import Session
from app.engines.spiff import effects
from app.engines.spiff.listeners import Heard

PROCESS = "Process_DiagnosisDams01"
PROFILE = ("firstname", "lastname", "birthday", "email", "mobile", "profession", "address")


@effects.effect("register_patient", "firstname", "lastname", "birthday", "address")
async def _register(session: Session, heard: Heard) -> Mapping[str, Any]:
    """A patient of whom nobody signs in yet. Gives `patientid`."""
    given = {name: heard.variables.get(name) or "" for name in PROFILE}
    profile = profiles.read(2, given)
    if not isinstance(profile, profiles.Patient):
        raise Invalid({"firstname": "This is no patient's profile."})
    return {"patientid": await profiles.enrol(session, profile)}


@effects.effect("record_diagnosis", "docid", "patientid", "narrative", "resolution")
async def _record(session: Session, heard: Heard) -> Mapping[str, Any]:
    """One row of `diagnosis`. Gives `diagnosis_id`."""
    given = heard.variables
    wanted = diagnoses.Wanted(
        str(given["docid"]), int(given["patientid"]), str(given["narrative"]), str(given["resolution"])
    )
    number = await diagnoses.record(session, wanted, by=heard.actor_id, case=heard.case_no)
    return {"diagnosis_id": number}


@effects.effect("bill_visit", "patientid", "charge")
async def _bill(session: Session, heard: Heard) -> Mapping[str, Any]:
    """An open bill of the visit; it stands on the case's number where no ticket is named. Gives `paymentid`."""
    given = heard.variables
    ticket = str(given.get("ticketid") or "") or heard.case_no[: charges.TICKET_LENGTH]
    charge, discount = (Decimal(str(given.get(name) or 0)) for name in ("charge", "discount"))
    await billing.check(session, Bill(ticket, int(given["patientid"]), charge, Decimal(0), discount))
    due = Due(str(heard.instance_id), ticket, int(given["patientid"]), charge, discount)
    await charges.bill(session, due, by=heard.actor_id)
    return {"paymentid": due.paymentid}
