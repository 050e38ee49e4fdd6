"""The payment process on the store: where each payment lands, and that it is written and told once."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from sqlalchemy import text

from app.clinic import billing, documents
from app.clinic.billing import Bill
from app.core.actor import Actor
from app.core.errors import Invalid, NotFound
from app.core.ids import uuid7
from app.db.session import Session, reading, transaction
from app.engines.spiff import instances, listeners, lookup, models, payment, worklist
from app.engines.spiff.coded import writing
from app.engines.spiff.listeners import Heard
from app.engines.spiff.records import InstanceView
from app.engines.spiff.specs import BundleFile
from tests.engines.conftest import value

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "bpmn/spiff/payment.json"
LANDS = [
    ("100", "100", "0", payment.RELEASE),
    ("60", "100", "0", payment.ON_HOLD),
    ("120", "100", "0", payment.RELEASE),
    ("90", "100", "10", payment.RELEASE),
    ("0.10", "0.30", "0.20", payment.RELEASE),
    ("99.99", "100", "0", payment.ON_HOLD),
    ("0", "0", "0", payment.RELEASE),
]


@pytest.fixture
async def desk(staff: Actor) -> Actor:
    """Somebody at the desk of a clinic with two patients, where the payment process is deployed."""
    async with transaction() as session:
        for number, username in ((1, "ana"), (2, "ben")):
            await session.execute(
                text("insert into login (username, password, roles) values (:name, 'none', '{patient}')"),
                {"name": username},
            )
            await session.execute(
                text("""insert into patient (patientid, username, firstname, midname, lastname, email, mobile, age,
                               role, profession, address, birthday, date_registered)
                        values (:id, :name, 'Ána', '', 'Łuczak', 'a@clinic.example', '', 40, 2, '', '', '1980-01-01',
                                '2026-01-01')"""),
                {"id": number, "name": username},
            )
        report = await models.check([BundleFile("payment.json", writing.dump(payment.spec()))])
        await models.deploy(session, None, report)
    return staff


def entries(amount: str, charge: str, discount: str = "0") -> dict[str, Any]:
    return {"ticketid": "T-1", "patientid": "1", "amount": amount, "charge": charge, "discount": discount}


async def pay(desk: Actor, *amounts: str, key: str | None = None, **further: Any) -> InstanceView:
    async with transaction() as session:
        return await payment.pay(session, desk, entries(*amounts) | further, key=key)


async def ran(view: InstanceView) -> list[tuple[str, str]]:
    async with reading() as session:
        return await lookup.happened(session, view.case, view.id)


@pytest.mark.parametrize(("amount", "charge", "discount", "lands"), LANDS)
async def test_a_payment_lands_where_its_amounts_say(
    desk: Actor, amount: str, charge: str, discount: str, lands: str
) -> None:
    view = await pay(desk, amount, charge, discount)
    assert view.status == "completed"
    assert (await ran(view))[-1] == (lands, "completed")
    async with reading() as session:
        paid = await billing.payment(session, str(view.id))
    assert paid.released is (lands == payment.RELEASE)
    assert paid.bill == Bill("T-1", 1, Decimal(charge), Decimal(amount), Decimal(discount))
    assert (paid.date_released is not None) is paid.released
    assert (paid.notice is not None) is paid.released


@pytest.mark.parametrize(("amount", "charge", "discount", "lands"), LANDS)
async def test_the_same_process_deployed_as_json_gives_the_same(
    desk: Actor, modeler: Actor, amount: str, charge: str, discount: str, lands: str
) -> None:
    async with transaction() as session:
        report = await models.check([BundleFile("payment.json", FILE.read_bytes())])
        receipt = await models.deploy(session, modeler, report)
    assert [(m.process_id, m.version, m.changed) for m in receipt.models] == [(payment.PROCESS, 1, False)]
    assert (await ran(await pay(desk, amount, charge, discount)))[-1] == (lands, "completed")


async def test_a_changed_json_file_is_a_new_version(desk: Actor, modeler: Actor) -> None:
    changed = FILE.read_bytes().replace(b'"description": "On hold"', b'"description": "Waits for the rest"')
    async with transaction() as session:
        receipt = await models.deploy(session, modeler, await models.check([BundleFile("payment.json", changed)]))
    assert receipt.models[0].version == 2


async def test_the_payment_form_waits_in_the_inbox_like_any_task(desk: Actor, doctor: Actor) -> None:
    async with transaction() as session:
        view = await instances.start(session, desk, payment.PROCESS, {})
    async with reading() as session:
        listed = await worklist.tasks(session, desk)
        shown = await worklist.task(session, desk, listed.items[0].id)
        assert (await worklist.tasks(session, doctor)).items == []
    assert [field["id"] for field in shown.form] == ["ticketid", "patientid", "charge", "amount", "discount"]
    models.forget()  # as after a restart
    async with transaction() as session:
        await worklist.claim(session, desk, shown.row.id)
        view = await instances.complete(session, desk, shown.row.id, entries("100", "100"))
    assert (view.status, view.variables["amount"]) == ("completed", "100.00")


async def test_each_event_of_each_task_is_in_the_audit_trail_once(desk: Actor) -> None:
    view = await pay(desk, "60", "100")
    expected = {
        (name, event)
        for name in ("Start", payment.PAY, payment.CHECK, payment.ON_HOLD)
        for event in ("reached", "ready", "completed")
    }
    assert Counter(await ran(view)) == Counter(expected)
    async with reading() as session:
        trace = await lookup.trace(session, desk, view.id)
    assert {row.event for row in trace} == {"entered", "completed"}
    assert [row.seq for row in trace] == list(range(1, 9))


async def test_each_event_is_heard_once_in_the_transaction_of_its_step(
    desk: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[tuple[str, str]] = []
    monkeypatch.setattr(listeners, "_known", {})

    async def hear(session: Session, told: Heard) -> None:
        assert await session.scalar(text("select count(*) from instance where id = :id"), {"id": told.instance_id}) == 1
        heard.append((told.element_id, told.event))

    for event in ("reached", "ready", "completed", "cancelled"):
        listeners.on(payment.PROCESS, payment.PAY, event)(hear)
    await pay(desk, "60", "100")
    assert heard == [(payment.PAY, event) for event in ("reached", "ready", "completed")]
    async with transaction() as session:
        view = await instances.start(session, desk, payment.PROCESS, {})
        await instances.cancel(session, desk, view.id, "the patient left")
    assert heard[3:] == [(payment.PAY, event) for event in ("reached", "ready", "cancelled")]


async def test_a_cancelled_payment_says_so_and_writes_nothing(desk: Actor) -> None:
    async with transaction() as session:
        view = await instances.start(session, desk, payment.PROCESS, {})
        await instances.cancel(session, desk, view.id, "the patient left")
    assert (await ran(view))[-1] == (payment.PAY, "cancelled")
    assert await value("select count(*) from payment") == 0


async def test_the_same_key_is_one_payment(desk: Actor) -> None:
    first = await pay(desk, "100", "100", key="k")
    again = await pay(desk, "100", "100", key="k")
    assert first.id == again.id
    assert await value("select count(*) from payment") == 1
    assert await value("select count(*) from document") == 1


async def test_a_payment_is_written_once_whoever_writes_it_again(desk: Actor) -> None:
    view = await pay(desk, "100", "100")
    bill = Bill("T-1", 1, Decimal(5), Decimal(5), Decimal(0))
    async with transaction() as session:
        assert not await billing.record(session, str(view.id), bill, released=True)
        await billing.issue_notice(session, bill, case=view.case, instance_id=view.id)
    assert await value("select charge from payment") == Decimal("100.00")
    assert await value("select count(*) from document") == 1


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"patientid": "99"}, "patientid"),
        ({"patientid": "2147483648"}, "patientid"),
        ({"ticketid": "OF-2"}, "ticketid"),
        ({"ticketid": ""}, "ticketid"),
        ({"discount": "100.01"}, "discount"),
        ({"amount": "1.005"}, "amount"),
        ({"amount": "-1"}, "amount"),
        ({"charge": ""}, "charge"),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_written(desk: Actor, wrong: dict[str, str], field: str) -> None:
    async with transaction() as session:
        await session.execute(text("insert into login (username, password) values ('doc', 'none')"))
        await session.execute(
            text("""insert into doctor (empid, username, firstname, midname, lastname, email, mobile, position, status,
                           date_started, age, role, specialization)
                    values ('D', 'doc', '', '', '', '', '', '', true, '2020-01-01', 40, 1, 'x')""")
        )
        await session.execute(
            text("""insert into appointment (ticketid, patientid, docid, priority_level, date_scheduled, time_scheduled,
                           consult_hrs, during)
                    values ('OF-2', 2, 'D', 1, '2027-01-04', '09:00', 1, '[2027-01-04 09:00Z,2027-01-04 10:00Z)')""")
        )
    with pytest.raises(Invalid) as refused:
        await pay(desk, "100", "100", **wrong)
    assert list(refused.value.errors) == [field]
    assert await value("select count(*) from payment") == 0
    assert await value("select count(*) from instance") == 0


async def test_what_the_form_says_of_status_and_date_is_not_believed(desk: Actor) -> None:
    view = await pay(desk, "60", "100", status="true", date_released="2020-01-01")
    assert await value("select status from payment where paymentid = :id", id=str(view.id)) is False
    assert await value("select date_released from payment") is None


async def test_the_release_notice_is_a_pdf_of_the_case_for_the_desk_and_its_patient(desk: Actor) -> None:
    view = await pay(desk, "120", "100")
    notice = await value("select id from document where case_no = :case", case=view.case)
    ana = Actor(90, "ana", "Ana", frozenset({"patient"}))
    async with reading() as session:
        found = await documents.read(session, ana, notice)
        assert (await documents.read(session, desk, notice)).content == found.content
        with pytest.raises(NotFound):
            await documents.read(session, Actor(91, "ben", "Ben", frozenset({"patient"})), notice)
        with pytest.raises(NotFound):
            await documents.read(session, desk, uuid7())
    assert found.media_type == "application/pdf"
    assert found.content.startswith(b"%PDF-")
    assert found.content.rstrip().endswith(b"%%EOF")
    assert (
        await value("select count(*) from case_event where kind = 'document.issued' and case_no = :c", c=view.case) == 1
    )


cents = some.integers(0, 10**8)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cents, cents, cents)
async def test_any_payment_is_released_exactly_when_it_covers_the_charge(
    desk: Actor, amount: int, charge: int, discount: int
) -> None:
    discount = min(discount, charge)
    given = [str(Decimal(number).scaleb(-2)) for number in (amount, charge, discount)]
    view = await pay(desk, *given)
    assert view.id
    row = await value("select status from payment where paymentid = :id", id=str(view.id))
    assert row is (amount + discount >= charge)
