"""The servers that flows and models may call, by name: those of the settings, and those that an administrator keeps.

One of the settings is not changed here, and its name is not taken. A token is kept in an envelope and never shown.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote

import httpx
from sqlalchemy import RowMapping, text

from app.clinic import audit
from app.core import envelope
from app.core.actor import Actor
from app.core.errors import Conflict, Invalid, NotFound
from app.core.settings import Connection, settings
from app.db.session import Session

KEEPER = "admin"
NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9a-f.]*:[0-9a-f:.]*", re.ASCII)
"""A name in the letters of the net, or an address of IPv4 or IPv6."""
LONGEST_URL, LONGEST_TOKEN = 500, 2000
_at_hand: ContextVar[Mapping[str, Connection] | None] = ContextVar("connections", default=None)


@dataclass(frozen=True, slots=True)
class Given:
    """What an administrator enters. A `token` of None leaves the one that is kept, an empty one takes it away."""

    url: str
    token: str | None = None
    models: bool = False
    private: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """A connection as a page shows it: whether it has a token, not which. `revision` is 0 for one of the settings.

    A `lost` one has a token that no key of this service opens; it is not called.
    """

    name: str
    url: str
    has_token: bool
    models: bool
    private: bool
    revision: int = 0
    changed_at: datetime | None = None
    changed_by: str = ""
    lost: bool = False


_ROWS = """
    select c.name, c.url, c.token, c.models, c.private, c.revision, c.changed_at,
           coalesce(nullif(l.display_name, ''), l.username, '') as changed_by
    from connection c left join login l on l.id = c.changed_by order by c.name
"""


async def listing(session: Session) -> list[Kept]:
    """All of them by name; one that is kept under a name of the settings is not used and not listed."""
    fixed = settings().flow.connections
    found = [_kept(row) for row in (await session.execute(text(_ROWS))).mappings() if row["name"] not in fixed]
    found += [
        Kept(name, one.url, bool(one.token.get_secret_value()), one.models, one.private) for name, one in fixed.items()
    ]
    return sorted(found, key=lambda one: one.name)


async def known(session: Session) -> dict[str, Connection]:
    """Those that may be called now, with their tokens."""
    rows = (await session.execute(text(_ROWS))).mappings()
    opened = {row["name"]: one for row in rows if (one := _opened(row)) is not None}
    return opened | settings().flow.connections


@contextlib.contextmanager
def using(found: Mapping[str, Connection]) -> Generator[None]:
    """Let the checks of models that run inside, also in a thread, know these."""
    before = _at_hand.set(found)
    try:
        yield
    finally:
        _at_hand.reset(before)


def at_hand() -> Mapping[str, Connection]:
    """What a check of a model knows: without a database, the settings' connections alone."""
    found = _at_hand.get()
    return settings().flow.connections if found is None else found


def allowing(url: str, among: Mapping[str, Connection]) -> Connection | None:
    """The connection that lets models call *url*. A path that climbs up, or a user name in it, is never allowed."""
    try:
        asked = httpx.URL(url)
    except httpx.InvalidURL:
        return None
    parts = unquote(unquote(asked.path)).replace("\\", "/").split("/")
    if asked.scheme not in ("http", "https") or asked.userinfo or ".." in parts or "\\" in url:
        return None
    for one in among.values():
        base = httpx.URL(one.url)
        inside = asked.path == base.path or asked.path.startswith(base.path.rstrip("/") + "/")
        same = (asked.scheme, asked.host, asked.port) == (base.scheme, base.host, base.port)
        if one.models and same and inside:
            return one
    return None


async def add(session: Session, actor: Actor, name: str, given: Given) -> None:
    """Keep a new one. Raises :class:`Invalid` by field, :class:`Conflict` for a name that is taken."""
    actor.require(KEEPER)
    if not NAME.fullmatch(name):
        raise Invalid({"name": "Small letters, digits, - and _, beginning with a letter; up to 40."})
    if name in settings().flow.connections:
        raise Conflict("A connection of this name stands in the settings.")
    added = await session.scalar(
        text("""insert into connection (name, url, token, models, private, revision, changed_by)
                values (:name, :url, :token, :models, :private, 1, :actor)
                on conflict (name) do nothing returning name"""),
        _values(name, given) | {"actor": actor.id},
    )
    if added is None:
        raise Conflict("There is a connection of this name.")
    await audit.record(session, "connection.added", actor_id=actor.id, data=_told(name, given))


async def change(session: Session, actor: Actor, name: str, given: Given, revision: int) -> None:
    """Change the one that was read as *revision*.

    A token goes with the address it was given for: with another host it is to be entered again.

    Raises:
        Invalid: by field.
        Conflict: somebody changed or removed it since.
    """
    actor.require(KEEPER)
    values = _values(name, given)
    before = await session.scalar(text("select url from connection where name = :name"), {"name": name})
    if before and given.token is None and httpx.URL(before).netloc != httpx.URL(values["url"]).netloc:
        raise Invalid({"token": "Enter the token for this server, or say that it has none."})
    changed = await session.scalar(
        text("""update connection set url = :url, models = :models, private = :private, revision = revision + 1,
                  token = case when :keeps then token else cast(:token as bytea) end,
                  changed_at = now(), changed_by = :actor
                where name = :name and revision = :revision returning name"""),
        values | {"keeps": given.token is None, "actor": actor.id, "revision": revision},
    )
    if changed is None:
        raise _overtaken()
    await audit.record(session, "connection.changed", actor_id=actor.id, data=_told(name, given))


async def remove(session: Session, actor: Actor, name: str, revision: int) -> None:
    """Let nobody call it any more; a call that is under way ends. Raises :class:`Conflict` as :func:`change` does."""
    actor.require(KEEPER)
    gone = await session.scalar(
        text("delete from connection where name = :name and revision = :revision returning name"),
        {"name": name, "revision": revision},
    )
    if gone is None:
        raise _overtaken()
    await audit.record(session, "connection.removed", actor_id=actor.id, data={"name": name})


async def get(session: Session, name: str) -> Kept:
    """Raises :class:`NotFound`."""
    found = next((one for one in await listing(session) if one.name == name), None)
    if found is None:
        raise NotFound("There is no connection of this name.")
    return found


def _kept(row: RowMapping) -> Kept:
    return Kept(
        row["name"],
        row["url"],
        row["token"] is not None,
        row["models"],
        row["private"],
        row["revision"],
        row["changed_at"],
        row["changed_by"],
        _opened(row) is None,
    )


def _opened(row: RowMapping) -> Connection | None:
    """None for one that is lost: without its token it would be called as somebody else."""
    sealed = row["token"]
    try:
        token = envelope.unseal(sealed, _purpose(row["name"])).decode() if sealed is not None else ""
    except envelope.Unreadable:
        return None
    return Connection.model_validate(
        {"url": row["url"], "token": token, "models": row["models"], "private": row["private"]}
    )


def _values(name: str, given: Given) -> dict[str, Any]:
    wrong: dict[str, str] = {}
    url = given.url.strip()
    if (why := _wrong_url(url)) is not None:
        wrong["url"] = why
    if given.token and (len(given.token) > LONGEST_TOKEN or not given.token.isascii() or not given.token.isprintable()):
        wrong |= {"token": "One line of plain letters, digits and signs, up to 2,000 of them."}
    if wrong:
        raise Invalid(wrong)
    token = envelope.seal(given.token.encode(), _purpose(name)) if given.token else None
    return {"name": name, "url": url, "token": token, "models": given.models, "private": given.private}


def _wrong_url(url: str) -> str | None:
    try:
        read = httpx.URL(url)
    except httpx.InvalidURL:
        return "This is no address."
    if read.scheme not in ("http", "https") or not _HOST.fullmatch(read.raw_host.decode()):
        return "Write an address such as https://lab.example.org/api."
    if read.userinfo or read.query or read.fragment or ".." in unquote(read.path).split("/"):
        return "An address without a user name, a query or a climb in its path; what follows it is called."
    return "Up to 500 characters." if len(url) > LONGEST_URL else None


def _purpose(name: str) -> str:
    return f"connection {name}"


def _told(name: str, given: Given) -> dict[str, Any]:
    token = "as before" if given.token is None else "new" if given.token else "none"
    return {"name": name, "url": given.url.strip(), "models": given.models, "private": given.private, "token": token}


def _overtaken() -> Conflict:
    return Conflict("Somebody changed or removed this connection since you opened it. Look at it again.")
