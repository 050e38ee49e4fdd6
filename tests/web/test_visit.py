"""A visit over the real pages: sign in, book, diagnose, bill, release; the database after each."""

from __future__ import annotations

from collections.abc import Callable

from lxml import html

from tests.conftest import PASSWORD_OF_ALL
from tests.days import MONDAY
from tests.web.conftest import Visitor, rows
from tests.web.test_booking import fill
from tests.web.test_processes import BILL, FOUND


def signed_in(person: Visitor, username: str, role: str) -> Visitor:
    """Through the form of the page, with the role that is chosen there."""
    person.sign_in(username, role=role)
    return person


async def test_a_visit_from_signing_in_to_the_release_over_the_pages(visitor: Callable[[str], Visitor]) -> None:
    patient = signed_in(visitor(""), "patient", "patient")
    (signed,) = await rows("select data from case_event where kind = 'account.signed-in'")
    assert PASSWORD_OF_ALL not in str(signed.data)

    booked = fill(patient)
    assert html.fromstring(patient.get(booked).text).xpath("string(//h1)") == "The appointment is booked"
    (visit,) = await rows("select * from appointment where date_scheduled = :day", day=MONDAY)
    assert (visit.docid, visit.patientid, visit.status) == ("HSP-200", 1, "booked")

    doctor = signed_in(visitor(""), "doctor", "doctor")
    at = doctor.post("/doctor/diagnosis").headers["Location"]
    for given in ({"patientid": "1"}, {"patientid": "1"}, FOUND, BILL | {"ticketid": visit.ticketid}):
        at = doctor.post(f"{at}/complete", **given).headers["Location"]
    (made,) = await rows("select * from diagnosis where narrative = :said", said=FOUND["narrative"])
    assert (made.docid, made.patientid, made.resolution) == ("HSP-200", 1, FOUND["resolution"])
    (bill,) = await rows("select * from payment where ticketid = :ticket", ticket=visit.ticketid)
    assert (str(bill.charge), str(bill.discount), bill.status, bill.date_released) == ("120.50", "20.50", False, None)

    desk = signed_in(visitor(""), "staff", "")
    entries = {"ticketid": visit.ticketid, "patientid": "1", "charge": "120.50", "amount": "100", "discount": "20.50"}
    where = desk.post("/payment/start", 307, **entries).headers["Location"]
    page = desk.post(where, 200, **entries)
    assert f"The account of ticket {visit.ticketid} is settled." in page.text
    paid = "select * from payment where ticketid = :ticket and status"
    (settled,) = await rows(paid, ticket=visit.ticketid)
    assert (str(settled.amount), settled.date_released is not None) == ("100.00", True)
    notice = html.fromstring(page.text).xpath("string(//a[contains(@href, '/documents/')]/@href)")
    assert patient.get(notice).data.startswith(b"%PDF-")
