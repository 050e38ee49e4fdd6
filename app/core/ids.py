"""Identifiers that sort by time, so that inserts touch the right edge of an index and write little WAL."""

from __future__ import annotations

import os
import time
from uuid import UUID

SECOND = 1000 << 12
_last = 0
"""Of the newest one, in 4096th parts of a millisecond."""


def uuid7() -> UUID:
    """A version 7 UUID (RFC 9562, section 5.7): 60 bits of Unix time, then random bits.

    Those of one process sort as they were made, also within a millisecond: what one step makes is shown in its order.
    """
    global _last
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    stamp = milliseconds << 12 | rest * 4096 // 1_000_000
    if 0 <= _last - stamp < SECOND:  # of the same instant, or the clock was set back a little
        stamp = _last + 1
    _last = stamp
    value = (stamp >> 12 & 0xFFFF_FFFF_FFFF) << 80 | (stamp & 0xFFF) << 64
    value |= int.from_bytes(os.urandom(8), "big")
    value |= 7 << 76
    value = value & ~(0x3 << 62) | 2 << 62
    return UUID(int=value)
