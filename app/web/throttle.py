"""Slows down guessing: attempts per account and per address, counted in Redis, or here while Redis is away."""

from __future__ import annotations

import asyncio

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter
from redis.exceptions import RedisError

from app.core.errors import TooManyAttempts
from app.core.log import log
from app.core.settings import settings

PER_ADDRESS = 10
"""An address may be a whole clinic behind one router: it gets this many times an account's tries."""


class Throttle:
    """One per event loop, since its connections belong to that."""

    def __init__(self) -> None:
        self._memory = FixedWindowRateLimiter(MemoryStorage())
        self._redis = FixedWindowRateLimiter(RedisStorage(f"async+{settings().redis.url}", implementation="redispy"))

    async def attempt(self, username: str, address: str) -> None:
        """Count one try. Raises :class:`TooManyAttempts` above the settings' number, with the seconds to wait."""
        for item, key in self._limits(username, address):
            if not await self._hit(item, key):
                seconds = settings().security.sign_in_window_seconds
                raise TooManyAttempts(f"Wait {seconds} seconds before the next try.", retry_after=seconds)

    async def succeeded(self, username: str) -> None:
        """A right password clears the account's count."""
        item, key = self._limits(username, "")[0]
        await self._memory.clear(item, key)
        try:
            await asyncio.wait_for(self._redis.clear(item, key), 0.5)
        except (RedisError, OSError, TimeoutError):
            log.warning("sign-in throttle works without Redis")

    @staticmethod
    def _limits(username: str, address: str) -> list[tuple[RateLimitItem, str]]:
        security = settings().security
        per_account = RateLimitItemPerSecond(security.sign_in_tries, security.sign_in_window_seconds)
        per_address = RateLimitItemPerSecond(
            security.sign_in_tries * PER_ADDRESS, security.sign_in_window_seconds, namespace="address"
        )
        return [(per_account, username.lower()[:80]), (per_address, address)]

    async def _hit(self, item: RateLimitItem, key: str) -> bool:
        try:
            return await asyncio.wait_for(self._redis.hit(item, key), 0.5)
        except (RedisError, OSError, TimeoutError):
            # Booking must work with every other server down; each process then counts for itself.
            return await self._memory.hit(item, key)


_throttles: dict[asyncio.AbstractEventLoop, Throttle] = {}


def throttle() -> Throttle:
    """The running loop's throttle."""
    loop = asyncio.get_running_loop()
    if loop not in _throttles:
        _throttles.clear()
        _throttles[loop] = Throttle()
    return _throttles[loop]


def forget() -> None:
    """Start counting anew. For a process that changes its settings, as a test run does."""
    _throttles.clear()
