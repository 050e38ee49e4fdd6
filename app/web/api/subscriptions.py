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


class SubscriptionSaid(Address):
    message: str


class SubscriptionDetails(Address):
    sent: int
    subscribed: bool


@group.operation("POST", "/subscribe", body=Address, answer=SubscriptionSaid, status=201, errors=(409, 422))
async def subscribe(given: Address) -> SubscriptionSaid:
    """Get the clinic's letters at an address of your own"""
    return SubscriptionSaid(message="Subscribed", email=await subscriptions.subscribe(actor(), given.email))


@group.operation("GET", "/get_details", query=Address, answer=SubscriptionDetails, errors=(404, 422))
async def details(given: Address) -> Any:
    """How many letters an address has had"""
    return await subscriptions.details(actor(), given.email)


@group.operation("DELETE", "/unsubscribe", body=Address, answer=SubscriptionSaid, status=202, errors=(404, 422))
async def unsubscribe(given: Address) -> SubscriptionSaid:
    """Get no more letters"""
    return SubscriptionSaid(message="Unsubscribing", email=await subscriptions.unsubscribe(actor(), given.email))
