"""`python -m workers.alive <kind>`: exit code 0 while a process of this kind on this host signs its life.

What a container's health check asks. A worker that is there and no longer does its work signs nothing.
"""

from __future__ import annotations

import asyncio
import socket
import sys

from app.db.session import dispose, reading
from app.engines import heartbeat


async def alive(kind: str) -> bool:
    """Whether a process of *kind* on this host gave a sign within the time a living one takes."""
    try:
        async with reading() as session:
            signs = await heartbeat.signs(session)
    finally:
        await dispose()
    here = heartbeat.own_name(kind).rpartition(":")[0]
    return any(sign.alive and sign.kind == kind and sign.name.rpartition(":")[0] == here for sign in signs)


if __name__ == "__main__":
    if not asyncio.run(alive(sys.argv[1])):
        raise SystemExit(f"no sign of life of {sys.argv[1]} on {socket.gethostname()}")
