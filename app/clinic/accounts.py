"""Accounts: sign-in, bearer tokens, browser sessions, passwords and roles. Every change is audited."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.clinic import audit
from app.core.actor import Actor
from app.core.errors import Conflict, Invalid, NotFound, SignInRequired
from app.core.ids import uuid7
from app.core.settings import settings
from app.db import driver
from app.db.driver import Line, Statement
from app.db.people import ROLES
from app.db.session import Session

REFUSED = "The user name or the password is not right."
"""The one answer to every failed sign-in, so that nobody learns which part was wrong."""
NO_SIGN_IN = "!"
"""Stands where a password's hash would: nobody can sign in to this account."""
HASHES_AT_ONCE = 2
"""argon2 takes 19 MiB and tens of milliseconds on purpose; more at once would starve the service."""
PASSWORD_LENGTH = (8, 200)


@lru_cache(maxsize=1)
def hasher() -> PasswordHasher:
    """argon2id with the parameters of the settings."""
    security = settings().security
    return PasswordHasher(security.argon2_time_cost, security.argon2_memory_kib, security.argon2_parallelism)


@lru_cache(maxsize=1)
def _nobody() -> str:
    """A hash to check for accounts that do not exist, so that they take as long as those that do."""
    return hasher().hash(secrets.token_urlsafe(16))


class _Lanes:
    """A semaphore for the running loop: one made at import would belong to no loop."""

    lanes: tuple[asyncio.AbstractEventLoop, asyncio.Semaphore] | None = None

    @classmethod
    def here(cls) -> asyncio.Semaphore:
        loop = asyncio.get_running_loop()
        if cls.lanes is None or cls.lanes[0] is not loop:
            cls.lanes = (loop, asyncio.Semaphore(HASHES_AT_ONCE))
        return cls.lanes[1]


async def hash_password(password: str) -> str:
    async with _Lanes.here():
        return await asyncio.to_thread(hasher().hash, password)


async def _fits(stored: str, password: str) -> bool:
    async with _Lanes.here():
        try:
            return await asyncio.to_thread(hasher().verify, stored, password)
        except (VerificationError, InvalidHashError):
            return False


_ACTOR = """
    select l.id, l.username, l.display_name, l.roles, l.locale,
           array(select g.name from group_member m join candidate_group g on g.id = m.group_id
                 where m.login_id = l.id) as groups
"""


def _actor(row: Any) -> Actor:
    return Actor(row.id, row.username, row.display_name, frozenset(row.roles), frozenset(row.groups), row.locale)


async def by_username(session: Session, username: str) -> Actor:
    """An account that is open, by its name. Raises :class:`NotFound`."""
    found = await session.execute(
        text(f"{_ACTOR} from login l where l.username = :username and l.disabled_at is null"), {"username": username}
    )
    row = found.first()
    if row is None:
        raise NotFound(f"No open account {username!r}.")
    return _actor(row)


async def by_id(session: Session, login_id: int) -> Actor:
    """An account by its number, open or not. Raises :class:`NotFound`."""
    row = (await session.execute(text(f"{_ACTOR} from login l where l.id = :id"), {"id": login_id})).first()
    if row is None:
        raise NotFound("No such account.")
    return _actor(row)


async def authenticate(session: Session, username: str, password: str) -> Actor:
    """The person with this name and password; the attempt is audited either way.

    Raises:
        SignInRequired: with :data:`REFUSED`, after about the same time, whatever was wrong.
    """
    row = (
        await session.execute(
            text(f"{_ACTOR}, l.password, l.disabled_at from login l where l.username = :username"),
            {"username": username[:200]},
        )
    ).first()
    fits = await _fits(row.password if row else _nobody(), password[: PASSWORD_LENGTH[1]])
    if row is None or not fits or row.disabled_at is not None:
        raise SignInRequired(REFUSED)
    if hasher().check_needs_rehash(row.password):
        await session.execute(
            text("update login set password = :hash where id = :id"),
            {"id": row.id, "hash": await hash_password(password)},
        )
    await audit.record(session, "account.signed-in", actor_id=row.id)
    return _actor(row)


async def record_refusal(session: Session, username: str, address: str) -> None:
    """A failed sign-in, in a transaction of its own, since the failed one is rolled back."""
    data = {"username": username[:20], "address": address}
    await audit.record(session, "account.sign-in-refused", data=data)


@dataclass(frozen=True, slots=True)
class NewToken:
    """A secret that is shown once; the database keeps its SHA-256."""

    value: str
    expires_in: int


def digest(value: str) -> bytes:
    return hashlib.sha256(value.encode()).digest()


async def issue_token(session: Session, actor: Actor) -> NewToken:
    """A bearer token of the API."""
    value, minutes = secrets.token_urlsafe(32), settings().security.token_minutes
    await session.execute(
        text("""insert into access_token (id, token_hash, login_id, expires_at)
                values (:id, :hash, :login, now() + make_interval(mins => :minutes))"""),
        {"id": uuid7(), "hash": digest(value), "login": actor.id, "minutes": minutes},
    )
    await audit.record(session, "token.issued", actor_id=actor.id)
    return NewToken(value, minutes * 60)


_BY_TOKEN = Statement(
    _ACTOR
    + """ from access_token t join login l on l.id = t.login_id
          where t.token_hash = :hash and t.expires_at > now() and t.revoked_at is null and l.disabled_at is null""",
    {"hash": "bytea"},
)


async def actor_of_token(session: Session | Line, value: str) -> Actor:
    """Who a bearer token stands for, in one statement. Raises :class:`SignInRequired`."""
    row = await driver.first(session, _BY_TOKEN, {"hash": digest(value)})
    if row is None:
        raise SignInRequired("The token is unknown, expired or revoked.")
    return _actor(row)


async def revoke_token(session: Session, value: str) -> bool:
    """End one bearer token. False if there is no such one to end."""
    row = (
        await session.execute(
            text("""update access_token set revoked_at = now() where token_hash = :hash and revoked_at is null
                    returning login_id"""),
            {"hash": digest(value)},
        )
    ).first()
    if row is not None:
        await audit.record(session, "token.revoked", actor_id=row.login_id)
    return row is not None


async def open_session(session: Session, actor: Actor) -> str:
    """A new browser session; its value goes into the cookie and nowhere else."""
    value = secrets.token_urlsafe(32)
    await session.execute(
        text("""insert into web_session (id, token_hash, login_id, expires_at)
                values (:id, :hash, :login, now() + make_interval(mins => :minutes))"""),
        {
            "id": uuid7(),
            "hash": digest(value),
            "login": actor.id,
            "minutes": settings().security.session_minutes,
        },
    )
    await session.execute(text("delete from web_session where expires_at < now() - interval '1 day'"))
    return value


_BY_SESSION = Statement(
    _ACTOR
    + """, s.id as session_id, s.seen_at < now() - interval '1 min' as stale
         from web_session s join login l on l.id = s.login_id
         where s.token_hash = :hash and s.expires_at > now() and l.disabled_at is null""",
    {"hash": "bytea"},
)
_SEEN = Statement(
    "update web_session set seen_at = now(), expires_at = now() + make_interval(mins => :minutes) where id = :id",
    {"minutes": "int", "id": "uuid"},
)


async def actor_of_session(session: Session | Line, value: str, *, used: bool = True) -> Actor | None:
    """Who a browser session belongs to, or None; being *used* keeps it alive."""
    row = await driver.first(session, _BY_SESSION, {"hash": digest(value)})
    if row is None:
        return None
    if row.stale and used:
        given = {"id": row.session_id, "minutes": settings().security.session_minutes}
        await driver.first(session, _SEEN, given)
    return _actor(row)


async def close_session(session: Session, value: str) -> None:
    """Sign a browser out: its cookie is worth nothing from now on."""
    row = (
        await session.execute(
            text("delete from web_session where token_hash = :hash returning login_id"), {"hash": digest(value)}
        )
    ).first()
    if row is not None:
        await audit.record(session, "account.signed-out", actor_id=row.login_id)


async def create(
    session: Session,
    username: str,
    password: str,
    roles: Iterable[str],
    *,
    display_name: str = "",
    email: str = "",
    by: Actor | None = None,
) -> int:
    """A new account; gives its id.

    Raises:
        Invalid: a field that cannot be.
        Conflict: the name is taken.
    """
    chosen = sorted(set(roles))
    check_fields(username, password, chosen)
    hashed = await hash_password(password)
    return await insert(session, username, hashed, chosen, display_name=display_name, email=email, by=by)


async def insert(
    session: Session,
    username: str,
    hashed: str,
    chosen: list[str],
    *,
    display_name: str = "",
    email: str = "",
    by: Actor | None = None,
    itself: bool = False,
    disabled: bool = False,
) -> int:
    """A new account from checked fields and a password that is hashed already. Raises :class:`Conflict`.

    With *itself* the trail names the new account as who made it: somebody signs up.
    With *disabled* nobody can sign in to it until :func:`enable`: the rest of a sign-up is still to come.
    """
    try:
        async with session.begin_nested():
            number = await session.scalar(
                text("""insert into login (username, password, display_name, email, roles, disabled_at)
                        values (:username, :hash, :shown, :email, :roles, case when :disabled then now() end)
                        returning id"""),
                {
                    "username": username,
                    "hash": hashed,
                    "shown": display_name or username,
                    "email": email,
                    "roles": chosen,
                    "disabled": disabled,
                },
            )
    except IntegrityError as error:
        raise Conflict(f"The user name {username!r} is taken.") from error
    data = {"username": username, "roles": chosen}
    made_by = by.id if by else number if itself else None
    await audit.record(session, "account.created", actor_id=made_by, data=data)
    return int(number or 0)


def check_fields(username: str, password: str, roles: Iterable[str]) -> None:
    """Raise :class:`Invalid` with a sentence per field that cannot be."""
    errors: dict[str, str] = {}
    if not 1 <= len(username) <= 20 or not username.isprintable() or username != username.strip():
        errors["username"] = "Up to 20 printable characters without spaces around them."
    if not PASSWORD_LENGTH[0] <= len(password) <= PASSWORD_LENGTH[1]:
        errors["password"] = f"A password has {PASSWORD_LENGTH[0]} to {PASSWORD_LENGTH[1]} characters."
    if unknown := set(roles) - set(ROLES):
        errors["roles"] = f"Unknown: {', '.join(sorted(unknown))}."
    if errors:
        raise Invalid(errors)


async def set_password(session: Session, login_id: int, password: str, *, by: Actor | None = None) -> None:
    """Change a password and sign the account out everywhere. Raises :class:`Invalid` or :class:`NotFound`."""
    check_fields("x", password, [])
    await _change(session, login_id, "password = :value, password_changed_at = now()", await hash_password(password))
    await sign_out_everywhere(session, login_id)
    await audit.record(
        session, "account.password-changed", actor_id=by.id if by else login_id, data={"login": login_id}
    )


async def set_roles(session: Session, login_id: int, roles: Iterable[str], *, by: Actor | None = None) -> None:
    """Replace an account's roles. Raises :class:`Invalid` or :class:`NotFound`."""
    chosen = sorted(set(roles))
    check_fields("x", "x" * PASSWORD_LENGTH[0], chosen)
    await _change(session, login_id, "roles = :value", chosen)
    data = {"login": login_id, "roles": chosen}
    await audit.record(session, "account.roles-changed", actor_id=by.id if by else None, data=data)


async def join(session: Session, username: str, role: str) -> None:
    """Give an account one more role. Unknown names and known roles change nothing."""
    await session.execute(
        text("""update login set roles = roles || cast(:role as text)
                where username = :name and not cast(:role as text) = any(roles)"""),
        {"role": role, "name": username},
    )


async def disable(session: Session, login_id: int, *, by: Actor | None = None) -> None:
    """Close an account: it can no longer sign in and is signed out everywhere. Raises :class:`NotFound`."""
    await _change(session, login_id, "disabled_at = :value", datetime.now().astimezone())
    await sign_out_everywhere(session, login_id)
    await audit.record(session, "account.disabled", actor_id=by.id if by else None, data={"login": login_id})


async def enable(session: Session, login_id: int) -> None:
    """Open an account again. Raises :class:`NotFound`."""
    await _change(session, login_id, "disabled_at = :value", None)


async def listing(session: Session) -> list[dict[str, Any]]:
    """Every account without its password, by name."""
    rows = await session.execute(
        text("""select id, username, display_name, email, roles, created_at, disabled_at is not null as disabled
                from login order by username""")
    )
    return [dict(row) for row in rows.mappings()]


async def _change(session: Session, login_id: int, what: str, value: object) -> None:
    done = await session.execute(
        text(f"update login set {what} where id = :id returning id"),  # noqa: S608 - three constants above
        {"id": login_id, "value": value},
    )
    if done.first() is None:
        raise NotFound("No such account.")


async def sign_out_everywhere(session: Session, login_id: int) -> None:
    """End every browser session and bearer token of an account."""
    await session.execute(text("delete from web_session where login_id = :id"), {"id": login_id})
    await session.execute(
        text("update access_token set revoked_at = now() where login_id = :id and revoked_at is null"),
        {"id": login_id},
    )
