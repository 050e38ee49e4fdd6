"""The processes behind signing in, signing up and a doctor's diagnosis, as deployed models with their pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from lxml import html

from tests import drawing
from tests.conftest import PASSWORD_OF_ALL
from tests.web.conftest import Caller, Visitor, rows, value

PERSON = {
    "firstname": "Noor",
    "lastname": "Bakker",
    "email": "noor@demo.example",
    "mobile": "555-0199",
    "birthday": "1990-05-06",
    "address": "9 Quay",
}
BILL = {"charge": "120.50", "discount": "20.50"}
FOUND = {"docid": "HSP-200", "narrative": "Sore throat, no fever.", "resolution": "Rest, warm tea, three days."}


def at(person: Caller, view: Any) -> str:
    return person("GET", f"/instances/{view['id']}")["tasks"][0]["element_id"]


async def test_a_known_patient_is_diagnosed_and_billed(caller: Callable[[str], Caller]) -> None:
    doctor = caller("doctor")
    view = doctor.start("Process_DiagnosisDams01")
    view = doctor.complete(view["tasks"][0]["id"], patientid=1)
    assert at(doctor, view) == "Activity_PatientProfile"
    shown = doctor("GET", f"/tasks/{view['tasks'][0]['id']}")
    assert len(shown["form"]["fields"][1]["options"]) == 1
    for given in ({"patientid": 1}, FOUND, BILL | {"ticketid": "DEMO-001"}):
        view = doctor.complete(view["tasks"][0]["id"], **given)
    assert (view["status"], view["variables"]["amount"]) == ("completed", "100.00")
    (made,) = await rows("select * from diagnosis where id = :id", id=view["variables"]["diagnosis_id"])
    assert (made.docid, made.patientid, made.narrative) == ("HSP-200", 1, FOUND["narrative"])
    (bill,) = await rows("select * from payment where paymentid = :id", id=view["variables"]["paymentid"])
    assert (bill.ticketid, str(bill.charge), str(bill.discount), bill.status) == ("DEMO-001", "120.50", "20.50", False)
    kinds = [row["kind"] for row in doctor("GET", f"/cases/{view['case']}/timeline")]
    assert "diagnosis.recorded" in kinds


async def test_a_new_patient_is_registered_on_the_way(caller: Callable[[str], Caller]) -> None:
    doctor = caller("doctor")
    view = doctor.start("Process_DiagnosisDams01")
    view = doctor.complete(view["tasks"][0]["id"])
    assert at(doctor, view) == "Activity_PatientForm"
    refused = doctor.complete(view["tasks"][0]["id"], 422, **PERSON | {"birthday": "2999-01-01"})
    assert list(refused["errors"]) == ["birthday"]
    view = doctor.complete(view["tasks"][0]["id"], **PERSON)
    number = view["variables"]["patientid"]
    assert await value("select lastname from patient where patientid = :n", n=number) == "Bakker"
    view = doctor.complete(view["tasks"][0]["id"], **FOUND)
    view = doctor.complete(view["tasks"][0]["id"], **BILL)
    assert view["status"] == "completed"
    assert await value("select count(*) from diagnosis where patientid = :n", n=number) == 1
    (bill,) = await rows("select ticketid, charge from payment where patientid = :n", n=number)
    assert (bill.ticketid, str(bill.charge)) == (view["case"], "120.50")


async def test_another_patients_ticket_or_a_discount_above_the_charge_is_not_billed(
    caller: Callable[[str], Caller],
) -> None:
    doctor = caller("doctor")
    view = doctor.start("Process_DiagnosisDams01")
    for given in ({"patientid": 1}, {"patientid": 1}, FOUND):
        view = doctor.complete(view["tasks"][0]["id"], **given)
    task = view["tasks"][0]["id"]
    assert "ticketid" in doctor.complete(task, 422, **BILL | {"ticketid": "DEMO-002"})["errors"]
    assert "discount" in doctor.complete(task, 422, charge="10", discount="11")["errors"]
    assert await value("select count(*) from payment") == 0


@pytest.mark.parametrize(
    ("user", "role", "where"),
    [
        ("admin", "administrator", "/menu/admin"),
        ("doctor", "doctor", "/menu/doc"),
        ("patient", "patient", "/menu/patient"),
    ],
)
async def test_the_process_leads_an_account_to_its_dashboard(
    visitor: Callable[[str], Visitor], user: str, role: str, where: str
) -> None:
    person = visitor("")
    answer = person.post("/login", username=user, password=PASSWORD_OF_ALL, role=role)
    assert answer.headers["Location"] == where
    home = person.get(where, follow_redirects=True)
    assert f"Signed in as {role}" in home.text
    last = await value("select variables->>'dashboard_type' from instance order by started_at desc limit 1")
    assert where.endswith(str(last))
    assert PASSWORD_OF_ALL not in str(await rows("select variables from instance"))


@pytest.mark.parametrize(("user", "role"), [("patient", "doctor"), ("doctor", "administrator"), ("staff", "patient")])
async def test_a_role_that_an_account_does_not_have_is_an_error_page(
    visitor: Callable[[str], Visitor], user: str, role: str
) -> None:
    person = visitor("")
    page = html.fromstring(person.post("/login", 403, username=user, password=PASSWORD_OF_ALL, role=role).text)
    assert "does not have the role" in page.text_content()
    assert person.get("/home", 302).headers["Location"].startswith("/login")
    assert await value("select count(*) from case_event where kind = 'account.sign-in-refused'") == 1


async def test_a_wrong_password_is_refused_whatever_the_role(visitor: Callable[[str], Visitor]) -> None:
    visitor("").post("/login", 401, username="doctor", password="wrong", role="doctor")
    assert await value("select count(*) from instance") == 0
    assert await value("select count(*) from case_event where kind = 'account.sign-in-refused'") == 1


def test_a_dashboard_is_for_its_role(visitor: Callable[[str], Visitor]) -> None:
    patient = visitor("patient")
    patient.get("/menu/patient", 302)
    patient.get("/menu/doc", 403)
    patient.get("/menu/admin", 403)


PROFILES: dict[str, dict[str, str]] = {
    "administrator": {"empid": "HSP-900", "position": "Night shift"},
    "doctor": {"empid": "HSP-901", "position": "Physician", "age": "41", "specialization": "Cardiology"},
    "patient": {},
}


@pytest.mark.parametrize("kind", PROFILES)
async def test_somebody_is_signed_up(visitor: Callable[[str], Visitor], kind: str) -> None:
    admin = visitor("admin")
    sent = {"kind": kind, "username": "noor", "password": "long-enough-1"}
    where = admin.post("/signup", **sent).headers["Location"]
    visitor("").post("/login", 401, username="noor", password="long-enough-1")
    page = html.fromstring(admin.get(where).text)
    key = page.xpath("string(//input[@name='completion_key']/@value)")
    admin.post(f"{where}/complete", completion_key=key, **PERSON | PROFILES[kind])
    table, role = {"administrator": ("administrator", "admin")}.get(kind, (kind, kind))
    sql = f"select lastname from {table} where username = 'noor'"  # noqa: S608 - one of three names above
    assert await value(sql) == "Bakker"
    assert await value("select roles from login where username = 'noor'") == [role]
    visitor("").post("/login", username="noor", password="long-enough-1", role=kind)
    assert "long-enough-1" not in str(await rows("select variables from instance"))


async def test_a_sign_up_that_cannot_be_writes_nothing(visitor: Callable[[str], Visitor]) -> None:
    admin = visitor("admin")
    for wrong, status in (
        ({"password": "short"}, 422),
        ({"username": "x" * 21}, 422),
        ({"kind": "janitor"}, 422),
        ({"username": "doctor"}, 409),
    ):
        given = {"kind": "doctor", "username": "noor", "password": "long-enough-1"} | wrong
        admin.post("/signup", status, **given)
    assert await value("select count(*) from login where username = 'noor'") == 0
    assert await value("select count(*) from instance") == 0
    visitor("staff").get("/signup", 403)


async def test_an_account_that_is_open_is_not_taken_over(caller: Callable[[str], Caller]) -> None:
    number = await value("select id from login where username = 'ops'")
    admin = caller("admin")
    view = admin.start("Process_SignupDams01")
    for given in ({"kind": "patient"}, {"account": number, "username": "ops"}):
        view = admin.complete(view["tasks"][0]["id"], **given)
    admin.complete(view["tasks"][0]["id"], 409, **PERSON)
    assert await value("select count(*) from patient where username = 'ops'") == 0


def test_a_doctor_begins_a_diagnosis_with_their_own_number(visitor: Callable[[str], Visitor]) -> None:
    doctor = visitor("doctor")
    where = doctor.post("/doctor/diagnosis").headers["Location"]
    doctor.post(f"{where}/complete", patientid="1")
    visitor("staff").post("/doctor/diagnosis", 403)


async def test_a_start_form_is_filled_in_where_the_process_is_started(
    visitor: Callable[[str], Visitor], caller: Callable[[str], Caller]
) -> None:
    opening = drawing.start_form(drawing.field("age", "long", required=True, label="Age"))
    model = drawing.begun(opening, drawing.user_task("next"))
    caller("modeler").deploy(model)
    staff = visitor("staff")
    assert html.fromstring(staff.get("/models/Own").text).xpath("//label[@for='f-age']")
    from_the_list = html.fromstring(staff.post("/models/Own/start", 200, start_key="k").text)
    assert from_the_list.xpath("//input[@id='f-age']")
    refused = html.fromstring(staff.post("/models/Own/start", 422, start_key="k", age="old").text)
    assert refused.xpath("string(//input[@id='f-age']/@value)") == "old"
    assert "Age" in refused.xpath("string(//*[@data-summary])")
    assert await value("select count(*) from instance") == 0
    staff.post("/models/Own/start", start_key="k", age="41")
    assert await value("select variables->>'age' from instance") == "41"
