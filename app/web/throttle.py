"""Slows down guessing: attempts per account and per address, counted in Redis, or here while Redis is away."""

from __future__ import annotations

import asyncio

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter
from redis.asyncio import ConnectionPool
from redis.exceptions import RedisError

from app.core.errors import TooManyAttempts
from app.core.log import log
from app.core.settings import settings

ANSWER_SECONDS = 0.5
"""Nobody waits longer for Redis to sign in."""
PER_ADDRESS = 10
"""An address may be a whole clinic behind one router: it gets this many times an account's tries."""


class Throttle:
    """One per event loop, since its connections belong to that."""

    def __init__(self) -> None:
        url = settings().redis.url
        self._pool: ConnectionPool = ConnectionPool.from_url(url)
        storage = RedisStorage(f"async+{url}", implementation="redispy", connection_pool=self._pool)  # pyright: ignore[reportArgumentType] - passed on to the client
        self._redis = FixedWindowRateLimiter(storage)
        self._memory = FixedWindowRateLimiter(MemoryStorage())

    async def attempt(self, username: str, address: str) -> None:
        """Count one try. Raises :class:`TooManyAttempts` above the settings' number, with the seconds to wait."""
        for item, key in self._limits(username, address):
            if not await self._hit(item, key):
                seconds = settings().security.sign_in_window_seconds
                raise TooManyAttempts(f"Wait {seconds} seconds before the next try.", retry_after=seconds)

    async def succeeded(self, username: str, address: str) -> None:
        """A right password clears the account's count and gives the address its try back: only failures count."""
        (account, name), (shared, place) = self._limits(username, address)
        await self._memory.clear(account, name)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._redis.clear(account, name)
                await self._redis.hit(shared, place, cost=-1)
        except (RedisError, OSError, TimeoutError):
            await self._memory.hit(shared, place, cost=-1)
            log.warning("sign-in throttle works without Redis")

    async def release(self, username: str) -> None:
        """Forget the failed tries of an account."""
        (account, name), _shared = self._limits(username, "")
        await self._memory.clear(account, name)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._redis.clear(account, name)
        except (RedisError, OSError, TimeoutError):
            log.warning("sign-in throttle works without Redis")

    async def close(self) -> None:
        await self._pool.aclose()

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
            return await asyncio.wait_for(self._redis.hit(item, key), ANSWER_SECONDS)
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


async def forget() -> None:
    """Start counting anew, on new connections. For a process that changes its settings, as a test run does."""
    for loop in list(_throttles):
        if loop is asyncio.get_running_loop():
            await _throttles.pop(loop).close()
