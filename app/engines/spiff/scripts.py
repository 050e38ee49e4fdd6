"""The functions a script or expression of a model may call: this module is the allow-list.

Their source is sent into the sandbox with the script that names them and runs there, so nothing of the host is
ever callable. A function here therefore takes and returns JSON values, imports inside its body, and uses nothing
but the sandbox's subset of Python.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable

MODULES = frozenset({"datetime", "decimal", "json", "math", "re"})
"""Modules a script may import. They are the sandbox's own, without a way out to files, processes or the network."""

ERROR_MARK = "\x01bpmn-error\x01"
"""Marks a BPMN error on its way out of the sandbox, which knows no exception classes but the built-in ones."""


def BpmnError(code: str, message: str = "") -> RuntimeError:  # noqa: N802 - the name modelers know
    """`raise BpmnError("CODE", "message")` ends the script; a matching error boundary event goes on from there."""
    return RuntimeError("\x01bpmn-error\x01" + str(code) + "\x01" + str(message))


def now() -> str:
    """The clinic's time with its offset, `2026-11-24T10:30:00-05:00`."""
    from datetime import datetime

    return datetime.now().astimezone().isoformat(timespec="seconds")


def today() -> str:
    """The clinic's date, `2026-11-24`."""
    from datetime import datetime

    return datetime.now().astimezone().date().isoformat()


def add_days(day: str, count: int) -> str:
    """The date `count` days after `day` (before it when negative); both are `YYYY-MM-DD`."""
    from datetime import date, timedelta

    return (date.fromisoformat(day) + timedelta(days=count)).isoformat()


def add_minutes(moment: str, count: int) -> str:
    """The moment `count` minutes after `moment`; both are ISO 8601."""
    from datetime import datetime, timedelta

    return (datetime.fromisoformat(moment) + timedelta(minutes=count)).isoformat()


def minutes_between(start: str, end: str) -> float:
    """Minutes from one ISO 8601 moment to another, negative when `end` is earlier."""
    from datetime import datetime

    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() / 60


def weekday(day: str) -> int:
    """1 for Monday to 7 for Sunday of a date `YYYY-MM-DD`."""
    from datetime import date

    return date.fromisoformat(day).isoweekday()


def age(birth_date: str, on: str) -> int:
    """Full years from `birth_date` to `on`, both `YYYY-MM-DD`."""
    from datetime import date

    born, then = date.fromisoformat(birth_date), date.fromisoformat(on)
    return then.year - born.year - int((then.month, then.day) < (born.month, born.day))


def juel_equal(left: object, right: object) -> bool:
    """`==` as the Unified Expression Language defines it (JSR 341, 1.8.2): the narrower side is coerced first."""
    if left is None or right is None:
        return left is None and right is None
    if isinstance(left, bool) or isinstance(right, bool):
        truths = [v.lower() == "true" if isinstance(v, str) else v for v in (left, right)]
        return truths[0] == truths[1]
    if isinstance(left, str) and isinstance(right, int | float):
        return (float(left) if left else 0) == right
    if isinstance(right, str) and isinstance(left, int | float):
        return left == (float(right) if right else 0)
    return left == right


def juel_less(left: object, right: object) -> bool:
    """`<` as the Unified Expression Language defines it (JSR 341, 1.8.1): a number makes the other side a number."""
    if left is None or right is None:
        return False
    if isinstance(left, str) and isinstance(right, int | float):
        return (float(left) if left else 0) < right
    if isinstance(right, str) and isinstance(left, int | float):
        return left < (float(right) if right else 0)
    return left < right  # pyright: ignore[reportOperatorIssue]  # other pairs raise, which is the incident wanted


def juel_get(base: object, key: object) -> object:
    """`base.key` and `base[key]`: nothing inside nothing, a missing name of a map is nothing (JSR 341, 1.6)."""
    if base is None or key is None:
        return None
    if isinstance(base, dict):
        return base.get(key)
    return base[key]  # pyright: ignore[reportIndexIssue]  # a wrong index raises, which is the incident wanted


def juel_text(value: object) -> str:
    """A value inside a text, as `Hello ${name}` shows it: nothing for null (JSR 341, 1.23.2)."""
    if isinstance(value, (list, dict)):
        raise TypeError("a list or map cannot stand inside a text")
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def feel_equal(left: object, right: object) -> bool:
    """`=` of FEEL: values of different kinds are never equal (DMN 1.3, table 53)."""
    if isinstance(left, bool) or isinstance(right, bool):
        return isinstance(left, bool) and isinstance(right, bool) and left == right
    return left == right


def feel_less(left: object, right: object) -> bool:
    """`<` of FEEL: nothing, or values of different kinds, are not less than each other (DMN 1.3, table 54)."""
    if isinstance(left, bool) or isinstance(right, bool):
        return False
    if isinstance(left, int | float) and isinstance(right, int | float):
        return left < right
    return isinstance(left, str) and isinstance(right, str) and left < right


def feel_matches(value: object, wanted: object) -> bool:
    """Whether a value is the wanted one, or one of a wanted list."""
    if isinstance(wanted, list) and not isinstance(value, list):
        return value in wanted
    if isinstance(value, bool) or isinstance(wanted, bool):
        return isinstance(value, bool) and isinstance(wanted, bool) and value == wanted
    return value == wanted


_FUNCTIONS: tuple[Callable[..., object], ...] = (
    BpmnError,
    now,
    today,
    add_days,
    add_minutes,
    minutes_between,
    weekday,
    age,
    juel_equal,
    juel_less,
    juel_get,
    juel_text,
    feel_equal,
    feel_less,
    feel_matches,
)
_SOURCES = {function.__name__: inspect.getsource(function) for function in _FUNCTIONS}
NAMES = frozenset(_SOURCES)


def prelude(names: Iterable[str]) -> str:
    """The source of the named functions, in a fixed order, ending in a line break unless it is empty."""
    wanted = set(names)
    return "".join(source for name, source in _SOURCES.items() if name in wanted)
