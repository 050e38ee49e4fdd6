"""How many accounts there are, as a chain of two: list, count."""

from __future__ import annotations

from celery.canvas import Signature
from pydantic import BaseModel

from app.clinic import accounts
from workers.registry import pipeline
from workers.steps import Step
from workers.tasks import task


class Nothing(BaseModel):
    """Nothing is asked for."""


@pipeline("login-count", Nothing, answers=True)
def login_count(_: Nothing) -> Signature:
    """How many accounts there are."""
    return list_all_login.s() | count_login.s()


@task("list_all_login")
async def list_all_login(step: Step) -> list[int]:
    """The accounts' ids: names do not go through the broker."""
    return [row["id"] for row in await accounts.listing(step.session)]


@task("count_login")
async def count_login(step: Step, ids: list[int]) -> dict[str, int]:  # noqa: ARG001 - no database
    return {"count": len(ids)}
