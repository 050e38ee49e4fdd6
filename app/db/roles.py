"""Two roles of the database: one owns the schema and migrates it, one serves. What serves cannot change the schema
or rewrite the timeline, whatever a fault in this service or somebody in its place tries.
"""

from __future__ import annotations

import asyncpg
from sqlalchemy import make_url

GRANTS = """
    grant usage on schema public to {role};
    grant select, insert, update, delete on all tables in schema public to {role};
    grant usage, select on all sequences in schema public to {role};
    revoke update, delete on case_event, case_seal from {role};
    revoke insert, update, delete on alembic_version from {role};
    revoke create on schema public from public;
"""


async def admit(owner_url: str, serving_url: str) -> None:
    """Let the role of *serving_url* work with the tables; make it, with that URL's password, where it is missing.

    Called after every migration, so that new tables are served too. Nothing happens where both URLs name one role.

    Raises:
        asyncpg.InsufficientPrivilegeError: the owner may not create roles and the serving one is missing.
    """
    serving = make_url(serving_url)
    if not serving.username or make_url(owner_url).username == serving.username:
        return
    connection = await asyncpg.connect(owner_url.replace("+asyncpg", ""), timeout=10)
    try:
        async with connection.transaction():
            await connection.execute("select pg_advisory_xact_lock(hashtext('dams.roles'))")
            if not await connection.fetchval("select 1 from pg_roles where rolname = $1", serving.username):
                await connection.execute(
                    await connection.fetchval(
                        "select format('create role %I login password %L', $1::text, $2::text)",
                        serving.username,
                        serving.password or "",
                    )
                )
            role = await connection.fetchval("select quote_ident($1)", serving.username)
            await connection.execute(GRANTS.format(role=role))
    finally:
        await connection.close()
