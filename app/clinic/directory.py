"""The accounts of the clinic as an administrator sees them: find, list, open, close, change roles.

What an account is, and how it signs in, lives in `app.clinic.accounts`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import text

from app.clinic import accounts, audit, patients
from app.core.actor import Actor
from app.core.errors import Conflict, NotFound
from app.db.people import LOGIN_SEARCHED
from app.db.session import Session

MAX_PAGE = 200


@dataclass(frozen=True, slots=True)
class Account:
    """One account without its secrets; `disabled_at` is None while it may sign in."""

    username: str
    display_name: str
    email: str
    roles: list[str]
    created_at: datetime
    disabled_at: datetime | None


_COLUMNS = "id, username, display_name, email, roles, created_at, disabled_at"


async def listing(
    session: Session, *, role: str | None = None, cursor: str | None = None, limit: int = 50, wanted: str = ""
) -> tuple[list[Account], str | None]:
    """Accounts by user name, from after *cursor* (a user name), and the cursor of the next ones or None.

    *wanted* is a part of the user name, the shown name or the mail address.
    """
    count = min(max(limit, 1), MAX_PAGE)
    given = {"cursor": cursor or "", "role": role, "limit": count + 1}
    whence = "login"
    if wanted:  # found by its trigrams first: on the way through the names PostgreSQL would look into every account
        given["wanted"] = f"%{patients.escaped(wanted.lower())}%"
        whence = f"(select * from login where {LOGIN_SEARCHED} like :wanted offset 0) login"  # noqa: S608 - a constant
    found = await session.execute(
        text(f"""select {_COLUMNS} from {whence} where username > :cursor
                 and (cast(:role as text) is null or :role = any(roles)) order by username limit :limit"""),  # noqa: S608
        given,
    )
    rows = [_account(row) for row in found.mappings()]
    return rows[:count], rows[count - 1].username if len(rows) > count else None


async def show(session: Session, username: str) -> Account:
    """One account. Raises :class:`NotFound`."""
    statement = text(f"select {_COLUMNS} from login where username = :name")  # noqa: S608 - a constant
    row = (await session.execute(statement, {"name": username})).mappings().first()
    if row is None:
        raise NotFound(f"No account {username!r}.")
    return _account(row)


async def number(session: Session, username: str) -> int:
    """The id of an account, locked until the transaction ends. Raises :class:`NotFound`."""
    found = await session.scalar(text("select id from login where username = :name for update"), {"name": username})
    if found is None:
        raise NotFound(f"No account {username!r}.")
    return cast("int", found)


async def set_roles(session: Session, username: str, roles: Iterable[str], *, by: Actor | None = None) -> None:
    """Replace an account's roles.

    Raises:
        NotFound, Invalid: no such account or role.
        Conflict: nobody would be left to administer DAMS.
    """
    chosen = sorted(set(roles))
    login = await number(session, username)
    await accounts.set_roles(session, login, chosen, by=by)
    if "admin" not in chosen:
        await _require_an_admin(session)


async def disable(session: Session, username: str, *, by: Actor | None = None) -> None:
    """Close an account. Raises :class:`NotFound`, or :class:`Conflict` for the last administrator."""
    await accounts.disable(session, await number(session, username), by=by)
    await _require_an_admin(session)


async def enable(session: Session, username: str, *, by: Actor | None = None) -> None:
    """Let a closed account sign in again with its old password. Raises :class:`NotFound`."""
    login = await number(session, username)
    await session.execute(text("update login set disabled_at = null where id = :id"), {"id": login})
    await audit.record(session, "account.enabled", actor_id=by.id if by else None, data={"login": login})


async def _require_an_admin(session: Session) -> None:
    """Two administrators who close each other at once must not both succeed, so their rows are locked in one order."""
    left = await session.execute(
        text("select id from login where 'admin' = any(roles) and disabled_at is null order by id for update")
    )
    if left.first() is None:
        raise Conflict("This is the last administrator; give the role to somebody else first.")


def _account(row: object) -> Account:
    columns = {name: value for name, value in dict(cast("dict[str, object]", row)).items() if name != "id"}
    return Account(**columns)  # pyright: ignore[reportArgumentType]
