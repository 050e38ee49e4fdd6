"""The payment provider: charge and refund, once for each key, whatever happens on the way."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import quote

import httpx

from app.core import trust
from app.core.errors import Conflict, DamsError, NoAnswer, NotFound, Unavailable
from app.core.settings import settings

TIMEOUT = 10.0


class Declined(DamsError):
    """The payment was declined"""

    code, status = "declined", 402


async def charge(key: str, amount: Decimal, reference: str) -> str:
    """Charge *amount* once for *key*; the provider's id of the charge. *reference* says nothing about a patient.

    Raises:
        Declined: the provider will not charge this.
        Conflict: the key stands for another charge.
        Unavailable, NoAnswer: try again with the same key.
    """
    given = {"amount": f"{amount:.2f}", "currency": settings().payment.currency, "reference": reference}
    return str((await _asked("POST", "/charges", key, given))["id"])


async def find(key: str) -> str | None:
    """The id of the charge under *key*, if there is one. Raises :class:`Unavailable` and :class:`NoAnswer`."""
    try:
        return str((await _asked("GET", f"/charges?key={quote(key)}", key))["id"])
    except NotFound:
        return None


async def refund(key: str, charge_id: str) -> str:
    """Give a charge back, once for *key*; the id of the refund. Raises as :func:`charge` does."""
    return str((await _asked("POST", f"/charges/{quote(charge_id)}/refunds", key, {}))["id"])


async def _asked(method: str, path: str, key: str, given: dict[str, Any] | None = None) -> dict[str, Any]:
    url = settings().payment.url
    try:
        async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT, verify=trust.context()) as client:
            answer = await client.request(method, path, json=given, headers={"Idempotency-Key": key})
    except httpx.TimeoutException as error:
        raise NoAnswer("The payment provider did not answer in time.") from error
    except httpx.TransportError as error:
        raise Unavailable("The payment provider does not answer.", engine="payment") from error
    if answer.is_success:
        return dict(answer.json())
    if answer.status_code == 402:
        raise Declined("The payment provider declined the charge.")
    if answer.status_code == 404:
        raise NotFound("The payment provider knows no such charge.")
    if answer.status_code >= 500 or answer.status_code == 429:
        raise Unavailable(f"The payment provider answered {answer.status_code}.", engine="payment")
    raise Conflict(f"The payment provider answered {answer.status_code}.")
