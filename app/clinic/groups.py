"""Groups of accounts that models name as candidates; `overbooking` gives its members a right of the desk."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.clinic import audit, directory
from app.core.actor import Actor
from app.core.errors import Invalid, NotFound
from app.db.people import ROLES
from app.db.session import Session

NAME = re.compile(r"[a-z0-9][a-z0-9 _.-]{0,79}")


@dataclass(frozen=True, slots=True)
class Group:
    """A group with the user names of its members."""

    name: str
    members: list[str]


async def listing(session: Session) -> list[Group]:
    rows = await session.execute(
        text("""select g.name, coalesce(array_agg(l.username order by l.username) filter (where l.id is not null), '{}')
                    as members
                from candidate_group g left join group_member m on m.group_id = g.id
                     left join login l on l.id = m.login_id group by g.name order by g.name""")
    )
    return [Group(row.name, list(row.members)) for row in rows]


async def of(session: Session, username: str) -> list[str]:
    """The groups of an account."""
    rows = await session.execute(
        text("""select g.name from candidate_group g join group_member m on m.group_id = g.id
                join login l on l.id = m.login_id where l.username = :name order by 1"""),
        {"name": username},
    )
    return list(rows.scalars())


async def create(session: Session, actor: Actor, name: str) -> None:
    """Make a group; names are kept in lower case. Raises :class:`Invalid` on `group`."""
    wanted = name.strip().lower()
    if not NAME.fullmatch(wanted):
        raise Invalid({"group": "Up to 80 letters, digits, spaces, dots or dashes."})
    if wanted in ROLES:
        raise Invalid({"group": "A role has this name already."})
    try:
        async with session.begin_nested():
            await session.execute(text("insert into candidate_group (name) values (:name)"), {"name": wanted})
    except IntegrityError as error:
        raise Invalid({"group": "There is a group of this name already."}) from error
    await audit.record(session, "account.group-created", actor_id=actor.id, data={"group": wanted})


async def delete(session: Session, actor: Actor, name: str) -> None:
    """Dissolve a group; tasks that only it could take wait for an administrator. Raises :class:`NotFound`."""
    done = await session.execute(text("delete from candidate_group where name = :name returning id"), {"name": name})
    if done.first() is None:
        raise NotFound("There is no such group.")
    await audit.record(session, "account.group-deleted", actor_id=actor.id, data={"group": name})


async def put(session: Session, actor: Actor, username: str, names: Iterable[str]) -> None:
    """Make an account a member of exactly these groups. Raises :class:`NotFound`, and :class:`Invalid` on `groups`."""
    wanted = sorted(set(names))
    login = await directory.number(session, username)
    known = set((await session.execute(text("select name from candidate_group"))).scalars())
    if unknown := set(wanted) - known:
        raise Invalid({"groups": f"Unknown: {', '.join(sorted(unknown))}."})
    await session.execute(text("delete from group_member where login_id = :login"), {"login": login})
    await session.execute(
        text("""insert into group_member (group_id, login_id)
                select id, :login from candidate_group where name = any(:names)"""),
        {"login": login, "names": wanted},
    )
    data = {"login": login, "groups": wanted}
    await audit.record(session, "account.groups-changed", actor_id=actor.id, data=data)
