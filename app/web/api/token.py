"""Bearer tokens."""

from __future__ import annotations

from flask import request

from app.clinic import accounts
from app.core.errors import SignInRequired, TooManyAttempts
from app.db.session import transaction
from app.web.api import schemas
from app.web.api.contract import Group
from app.web.security import bearer
from app.web.throttle import throttle

group = Group("token")
blueprint = group.blueprint


@group.operation(
    "POST",
    "/token",
    public=True,
    without_csrf=True,
    body=schemas.Credentials,
    answer=schemas.Token,
    errors=(401, 413, 422, 429),
)
async def issue(given: schemas.Credentials) -> schemas.Token:
    """Exchange user name and password for a bearer token"""
    try:
        await throttle().attempt(given.username, request.remote_addr or "")
        async with transaction() as session:
            person = await accounts.authenticate(session, given.username, given.password)
            token = await accounts.issue_token(session, person)
    except (SignInRequired, TooManyAttempts):
        async with transaction() as session:
            await accounts.record_refusal(session, given.username, request.remote_addr or "")
        raise
    await throttle().succeeded(given.username, request.remote_addr or "")
    return schemas.Token(access_token=token.value, expires_in=token.expires_in, roles=sorted(person.roles))


@group.operation("DELETE", "/token", answer=schemas.Revoked)
async def revoke(_given: object) -> schemas.Revoked:
    """End the token that this call is made with"""
    async with transaction() as session:
        return schemas.Revoked(revoked=await accounts.revoke_token(session, bearer() or ""))
