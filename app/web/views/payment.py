"""The payment desk: take a payment, then the page that its process decided on: released, or on hold."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.clinic import billing
from app.clinic.billing import Payment
from app.core.errors import BadRequest, Conflict, Invalid, NotFound
from app.core.ids import uuid7
from app.db.session import Session, reading, transaction
from app.engines.spiff import lookup, models, payment
from app.engines.spiff.records import InstanceView
from app.web.security import actor, allow

blueprint = Blueprint("payment", __name__)
DESK = ("staff", "admin")


@blueprint.get("/payment/start")
@allow(*DESK)
async def start() -> str:
    return await _form(request.args.to_dict(), {})


@blueprint.post("/payment/start")
@allow(*DESK)
async def take() -> Response | tuple[str, int]:
    """307 to the page of the outcome, which gets the same POST; 422 keeps the entries beside what must be mended."""
    entered = request.form.to_dict()
    if any("\x00" in value for value in entered.values()):
        raise BadRequest("A NUL character cannot be stored.")
    key, case = entered.get("payment_key") or None, entered.get("case") or None
    try:
        async with transaction() as session:
            view = await payment.pay(session, actor(), entered, key=key, case=case)
            covered = await _covered(session, view)
    except Invalid as error:
        return await _form(entered, error.errors), 422
    return redirect(url_for("payment.released" if covered else "payment.held", instance=view.id), 307)


@blueprint.get("/payment/onrelease")
@allow(*DESK)
async def onrelease() -> str:
    return await _outcome(released=True)


@blueprint.get("/payment/onhold")
@allow(*DESK)
async def onhold() -> str:
    return await _outcome(released=False)


@blueprint.post("/payment/onrelease")
@allow(*DESK)
async def released() -> str:
    """Where the form of a payment arrives when its process has released it; nothing is written any more."""
    return await _outcome(released=True)


@blueprint.post("/payment/onhold")
@allow(*DESK)
async def held() -> str:
    return await _outcome(released=False)


async def _covered(session: Session, view: InstanceView) -> bool:
    if view.incidents or view.tasks:
        raise Conflict(f"The payment of case {view.case} needs attention: ops was told.")
    return (await billing.payment(session, str(view.id))).released


async def _outcome(*, released: bool) -> str:
    """The page of a payment that stands in the books; without one there is nothing to show.

    Raises:
        NotFound: no payment is named, or it is not there.
        Conflict: it is a payment of the other kind.
    """
    try:
        instance_id = UUID(request.args.get("instance", ""))
    except ValueError:
        raise NotFound("This page belongs to a payment; take one first.") from None
    async with reading() as session:
        view = await lookup.view(session, actor(), instance_id)
        paid = await billing.payment(session, str(instance_id))
    if paid.released != released:
        raise Conflict("This payment is released." if paid.released else "This payment is on hold: it is not covered.")
    return render_template("payment_outcome.html", view=view, paid=paid, rest=_rest(view, paid))


def _rest(view: InstanceView, paid: Payment) -> dict[str, Any]:
    """What the form begins with when the rest of a payment on hold is paid."""
    bill = paid.bill
    rest = {"ticketid": bill.ticketid, "patientid": bill.patientid, "case": view.case}
    return rest | {"charge": bill.balance, "amount": bill.balance}


async def _form(entered: dict[str, str], errors: dict[str, str]) -> str:
    async with reading() as session:
        model = await models.find(session, payment.PROCESS)
        newest = await billing.newest(session)
    fields = model.forms[payment.PAY].as_list()
    defaults = {field["id"]: field["default"] for field in fields if field["default"] is not None}
    return render_template(
        "payment_start.html",
        fields=fields,
        values=defaults | entered,
        errors=errors,
        newest=newest,
        key=entered.get("payment_key") or str(uuid7()),
        case=entered.get("case", ""),
    )
