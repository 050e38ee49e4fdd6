"""The variables of an instance: which types they may have, how large, how two sets are merged, how they are packed.

A value is never changed in place: whoever changes data makes a new dictionary. That lets tokens share values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

import msgspec

_ENCODER = msgspec.msgpack.Encoder()
_SCALARS = (str, bool, type(None))
_EXTENSIONS: dict[type, int] = {datetime: 1, date: 2, time: 3, timedelta: 4, UUID: 5, Decimal: 6}
_MAX_DEPTH = 100


class BadVariable(Exception):
    """A variable that cannot be kept. ``code`` is "variable-type" or "variable-size"; the message shows no value."""

    def __init__(self, name: str, code: str, message: str) -> None:
        super().__init__(message)
        self.name, self.code, self.message = name, code, message


def check(data: Mapping[str, Any], variable_bytes: int) -> None:
    """Refuse what could not be saved and read back as it is.

    Allowed are None, bool, str, finite numbers up to 64 bits, date, time, datetime, timedelta, UUID, Decimal, and
    lists and dictionaries with text keys of these.

    Raises:
        BadVariable: names the first variable of another type, or larger than *variable_bytes*.
    """
    check_types(data)
    for name, value in data.items():
        if size(value) > variable_bytes:
            raise BadVariable(name, "variable-size", f"{name} is larger than {variable_bytes // 1024} KB")


def check_types(data: Mapping[str, Any]) -> None:
    """The part of `check` that is about types."""
    for name, value in data.items():
        reason = _unfit(value)
        if reason:
            raise BadVariable(name, "variable-type", f"{name} {reason}")


def size(value: Any) -> int:
    """Bytes a value takes in a saved state."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode())
    return len(_ENCODER.encode(wrap(value))) if isinstance(value, (list, dict)) else 8


def merge(older: Mapping[str, Any], newer: Mapping[str, Any]) -> dict[str, Any]:
    """Both sets; where both have a name the newer value counts, dictionaries are merged name by name.

    Unlike SpiffWorkflow's merge, which mixes lists and may drop items, a list counts as one value.
    """
    merged = dict(older)
    for name, value in newer.items():
        old = merged.get(name)
        if value is not old and isinstance(value, dict) and isinstance(old, dict):
            merged[name] = merge(cast("dict[str, Any]", old), cast("dict[str, Any]", value))
        else:
            merged[name] = value
    return merged


def same(one: Any, other: Any) -> bool:
    """Equal in value and in type: 1, 1.0 and True are three values."""
    if one is other:
        return True
    if type(one) is not type(other) or one != other:
        return False
    if isinstance(one, (list, dict)):
        return _ENCODER.encode(wrap(one)) == _ENCODER.encode(wrap(other))
    return True


def pack(value: Any) -> bytes:
    """msgpack with extension types for dates, times, UUIDs and decimals, each in a value that was given to `wrap`."""
    return _ENCODER.encode(value)


def unpack(content: bytes) -> Any:
    """Reverse of `pack`. Raises `msgspec.DecodeError` for what is no msgpack."""
    return _DECODER.decode(content)


def shown(value: Any) -> Any:
    """A value as JSON shows it: dates, times and UUIDs as text, durations in ISO 8601, decimals as text."""
    if isinstance(value, dict):
        return {name: shown(item) for name, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, (list, tuple)):
        return [shown(item) for item in cast("list[Any]", value)]
    if isinstance(value, timedelta):
        return _duration(value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    return str(value) if isinstance(value, (UUID, Decimal)) else value


def entered(given: Mapping[str, Any]) -> dict[str, Any]:
    """What came from outside, as the timeline keeps it; nothing where nothing came."""
    return {"entries": shown(given)} if given else {}


def _unfit(value: Any) -> str:
    stack: list[tuple[Any, int]] = [(value, 0)]
    while stack:
        item, depth = stack.pop()
        kind = type(item)
        if kind in _SCALARS or kind in _EXTENSIONS:
            continue
        if kind is int:
            if not -(2**63) <= item < 2**63:
                return "holds a whole number beyond 64 bits, which cannot be stored"
        elif kind is float:
            if not math.isfinite(item):
                return "holds a number that is not finite"
        elif kind in (dict, list) and depth < _MAX_DEPTH:
            if kind is dict and not all(type(key) is str for key in item):
                return "has a key that is not text"
            stack.extend((child, depth + 1) for child in (item.values() if kind is dict else item))
        else:
            return "is nested too deeply" if kind in (dict, list) else f"is or holds a {kind.__name__}, no plain data"
    return ""


def wrap(value: Any) -> Any:
    """The value with dates and their like as extension types; the same object where there are none."""
    kind = type(value)
    if kind is dict:
        if any(type(item) not in _SCALARS for item in value.values()):
            return {name: wrap(item) for name, item in value.items()}
        return value
    if kind is list or kind is tuple:
        return [wrap(item) for item in value]
    code = _EXTENSIONS.get(kind)
    return value if code is None else msgspec.msgpack.Ext(code, _text(value).encode())


def _text(value: Any) -> str:
    if isinstance(value, timedelta):
        return f"{value.days} {value.seconds} {value.microseconds}"
    return value.isoformat() if isinstance(value, (date, time)) else str(value)


def _restore(code: int, content: memoryview) -> Any:
    text = bytes(content).decode()
    if code == 4:
        days, seconds, microseconds = map(int, text.split())
        return timedelta(days, seconds, microseconds)
    kinds: dict[int, Any] = {1: datetime.fromisoformat, 2: date.fromisoformat, 3: time.fromisoformat, 5: UUID}
    return kinds.get(code, Decimal)(text)


_DECODER = msgspec.msgpack.Decoder(ext_hook=_restore)


def _duration(value: timedelta) -> str:
    sign = "-" if value < timedelta(0) else ""
    value = abs(value)
    seconds = value.seconds + value.microseconds / 1_000_000
    return f"{sign}P{value.days}DT{seconds:g}S"
