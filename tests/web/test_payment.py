"""The payment desk in the browser's terms: form, redirect that keeps the POST, outcome, notice, refusals."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lxml import html
from werkzeug.test import TestResponse

from tests.web.conftest import Visitor, some_id, value

ENTRIES = {"ticketid": "DEMO-001", "patientid": "1", "charge": "100", "amount": "100", "discount": "0"}


def pay(desk: Visitor, **further: str) -> TestResponse:
    return desk.post("/payment/start", 307, **ENTRIES | further)


@pytest.mark.parametrize(
    ("amount", "discount", "page", "says"),
    [
        ("100", "0", "onrelease", "The account of ticket DEMO-001 is settled."),
        ("60", "0", "onhold", "40.00 is still owed"),
        ("120", "0", "onrelease", "Return 20.00 to the patient."),
        ("90", "10", "onrelease", "The account of ticket DEMO-001 is settled."),
    ],
)
def test_the_outcome_of_the_process_decides_the_page(
    visitor: Callable[[str], Visitor], amount: str, discount: str, page: str, says: str
) -> None:
    desk = visitor("staff")
    moved = pay(desk, amount=amount, discount=discount)
    where = moved.headers["Location"]
    assert where.startswith(f"/payment/{page}?instance=")
    posted = desk.post(where, 200, **ENTRIES)
    assert says in posted.text
    assert says in desk.get(where).text


async def test_a_released_patient_gets_the_notice(visitor: Callable[[str], Visitor]) -> None:
    desk = visitor("staff")
    page = html.fromstring(desk.get(pay(desk).headers["Location"]).text)
    link = page.xpath("string(//a[contains(@href, '/documents/')]/@href)")
    saved = desk.get(link)
    assert saved.content_type == "application/pdf"
    assert saved.headers["Content-Disposition"].startswith("attachment; filename=")
    assert saved.data.startswith(b"%PDF-")
    assert visitor("patient").get(link).data == saved.data  # the demo's patient is number 1
    visitor("modeler").get(link, 404)


def test_without_a_paid_instance_there_is_no_release_page(visitor: Callable[[str], Visitor]) -> None:
    desk = visitor("staff")
    for page in ("onrelease", "onhold"):
        for given in ("", "?instance=", "?instance=x", f"?instance={some_id()}"):
            desk.get(f"/payment/{page}{given}", 404)
            desk.post(f"/payment/{page}{given}", 404, **ENTRIES)
    owed = pay(desk, amount="60").headers["Location"]
    desk.get(owed.replace("onhold", "onrelease"), 409)
    paid = pay(desk).headers["Location"]
    desk.get(paid.replace("onrelease", "onhold"), 409)


async def test_a_wrong_field_keeps_what_was_entered_and_writes_nothing(visitor: Callable[[str], Visitor]) -> None:
    desk = visitor("staff")
    page = html.fromstring(desk.post("/payment/start", 422, **ENTRIES | {"patientid": "99999", "amount": "12.5"}).text)
    assert page.xpath("string(//p[@id='wrong-patientid'])") == "There is no patient 99999."
    assert page.xpath("string(//input[@name='amount']/@value)") == "12.5"
    assert await value("select count(*) from payment") == 0


async def test_the_same_form_sent_twice_is_one_payment(visitor: Callable[[str], Visitor]) -> None:
    desk = visitor("staff")
    key = some_id()
    assert pay(desk, payment_key=key).headers["Location"] == pay(desk, payment_key=key).headers["Location"]
    assert await value("select count(*) from payment") == 1


def test_the_rest_is_paid_in_the_same_case(visitor: Callable[[str], Visitor]) -> None:
    desk = visitor("staff")
    held = html.fromstring(desk.get(pay(desk, amount="60").headers["Location"]).text)
    form = html.fromstring(desk.get(held.xpath("string(//a[. = 'Pay the rest']/@href)")).text)
    given = {name: form.xpath(f"string(//input[@name='{name}']/@value)") for name in [*ENTRIES, "case"]}
    assert given["charge"] == given["amount"] == "40.00"
    settled = desk.post("/payment/start", 307, **given)
    assert given["case"] in desk.get(settled.headers["Location"]).text


def test_payments_are_the_desks(visitor: Callable[[str], Visitor]) -> None:
    for username in ("patient", "modeler", "ops"):
        visitor(username).get("/payment/start", 403)
    assert "No payment yet." in visitor("admin").get("/payment/start").text
