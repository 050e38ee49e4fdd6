"""Kombu's transport over Redis, with channels that say in Celery's words that their connection is gone.

When Redis goes, Celery 5.7 closes what it has open and answers the queue for tasks that end meanwhile. Kombu then looks
for the host of a connection that is None. Celery takes that AttributeError for a fault which nothing mends and ends the
worker; a connection error is one that it waits out. What could not be answered is given out again after the visibility
timeout, and a step that was done gives the result it gave before.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis


class Gone(ConnectionError):
    """The connection of this channel is closed"""


class Channel(redis.Channel):
    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        if self.connection.client is None:
            raise Gone(Gone.__doc__)
        return super()._connparams(asynchronous)


class Transport(redis.Transport):
    Channel = Channel


def serve() -> None:
    """Have this process reach Redis by it."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:{Transport.__name__}"
