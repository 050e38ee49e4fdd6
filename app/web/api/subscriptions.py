"""The specification's own calls for the clinic's letters."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from app.engines import subscriptions
from app.web.api.contract import Group
from app.web.security import actor

group = Group("subscriptions", prefix="")
blueprint = group.blueprint


class Address(BaseModel):
    email: str = Field(min_length=3, max_length=254)


class Said(Address):
    message: str


class Details(Address):
    sent: int
    subscribed: bool


@group.operation("POST", "/subscribe", body=Address, answer=Said, status=201, errors=(409, 422))
async def subscribe(given: Address) -> Said:
    """Get the clinic's letters at an address of your own"""
    return Said(message="Subscribed", email=await subscriptions.subscribe(actor(), given.email))


@group.operation("GET", "/get_details", query=Address, answer=Details, errors=(404, 422))
async def details(given: Address) -> Any:
    """How many letters an address has had"""
    return await subscriptions.details(actor(), given.email)


@group.operation("DELETE", "/unsubscribe", body=Address, answer=Said, status=202, errors=(404, 422))
async def unsubscribe(given: Address) -> Said:
    """Get no more letters"""
    return Said(message="Unsubscribing", email=await subscriptions.unsubscribe(actor(), given.email))
