"""Where scripts and expressions of models run: a pool of interpreter processes with limits on time and memory.

The interpreter (Monty) has no files, network, processes or host objects; a text that exceeds a limit ends with a
`ScriptFailed`, a worker that dies is replaced. Nothing else in the product evaluates text from a model.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, cast

import orjson
from pydantic import JsonValue
from pydantic_monty import (
    Monty,
    MontyConversionError,
    MontyCrashedError,
    MontyError,
    MontyRuntimeError,
    MontySyntaxError,
    OSPolicy,
    ResourceLimits,
)

from app.core.settings import settings
from app.engines.spiff import blame
from app.engines.spiff.expressions import Compiled, Dialect, compile_expression, compile_script
from app.engines.spiff.scripts import ERROR_MARK
from app.engines.spiff.subset import ScriptRefused

__all__ = [
    "BpmnErrorRaised",
    "Compiled",
    "Dialect",
    "Limits",
    "Sandbox",
    "ScriptFailed",
    "ScriptRefused",
    "compile_expression",
    "compile_script",
    "sandbox",
]

Value = JsonValue | date | timedelta


class ScriptFailed(Exception):
    """A script or expression did not end well.

    ``code`` is "script-error", "time-out", "memory", "name-not-set", "variable-type" or "variable-size"; ``message``
    names variables but never shows a value; ``line`` is 1-based in the text as its author wrote it, 0 when unknown.
    """

    def __init__(self, code: str, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.code, self.message, self.line = code, message, line


class BpmnErrorRaised(Exception):
    """The script said `raise BpmnError(code, message)`."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code)
        self.code, self.message = code, message


@dataclass(frozen=True, slots=True)
class Limits:
    """What one call may take: seconds of run time, bytes of memory, bytes of one stored variable."""

    seconds: float = 1.0
    memory: int = 64 * 1024 * 1024
    variable: int = 256 * 1024
    time_zone: str = "utc"


class Sandbox:
    """A pool of interpreter processes, started with the first call. Thread-safe.

    Calls beyond ``workers`` wait for a free one. ``close`` ends the processes; a later call starts new ones. A
    process may fork before its first call, and each child then has a pool of its own. After the first call the
    threads behind the pool do not survive a fork: the child's calls raise `RuntimeError` instead of waiting for ever.
    """

    GRACE: Final = 0.25
    """Seconds after the limit until a worker that does not stop by itself is killed."""

    def __init__(self, limits: Limits, workers: int = 2) -> None:
        self._limits, self._workers = limits, workers
        self._pool: Monty | None = None
        self._pid = 0
        self._lock = threading.Lock()
        os.register_at_fork(after_in_child=self._forget)

    def execute(
        self, script: Compiled, data: Mapping[str, Any], *, now: datetime | None = None
    ) -> dict[str, JsonValue]:
        """The names the script set or changed, with their values; ``data`` itself is left alone.

        Raises:
            ScriptFailed: it ended with an exception, at a limit, or with a value that cannot be stored.
            BpmnErrorRaised: it raised a BPMN error on purpose.
        """
        rows = cast("list[tuple[str, bool, str]]", self._run(script, data, now))
        return {name: self._stored(name, fine, text) for name, fine, text in rows}

    def evaluate(self, expression: Compiled, data: Mapping[str, Any], *, now: datetime | None = None) -> Value:
        """The value of an expression: a JSON value, or a date, datetime or timedelta for timers.

        Raises: as `execute`.
        """
        as_is, value = cast("tuple[bool, Any]", self._run(expression, data, now))
        return cast("Value", value) if as_is else self._stored("the result", True, cast("str", value))

    def close(self) -> None:
        """Ends the worker processes of this process."""
        with self._lock:
            pool, self._pool = self._pool, None
            if pool is not None and self._pid == os.getpid():
                pool.__exit__(None, None, None)

    def _run(self, compiled: Compiled, data: Mapping[str, Any], now: datetime | None) -> object:
        given = {name: data[name] for name in compiled.reads if name in data}
        try:
            with self._started().checkout(
                limits=self._resources(), os_policy=self._policy(now), assert_message_annotations=False
            ) as session:
                return session.feed_run(compiled.code, inputs=given, print_callback=_drop)
        except MontyRuntimeError as error:
            raise _failure(compiled, error, data) from None  # the interpreter's own text may hold patient data
        except MontyCrashedError as error:
            code = "time-out" if getattr(error, "timed_out", False) else "memory"
            raise ScriptFailed(code, _LIMIT_TEXTS[code]) from None
        except TimeoutError:
            raise ScriptFailed("time-out", "no script process came free in time") from None
        except MontySyntaxError:
            raise ScriptFailed("script-error", "the sandbox cannot read the script") from None
        except (MontyConversionError, MontyError, TypeError, ValueError, OverflowError):
            raise ScriptFailed("script-error", f"a value it reads cannot be handed in: {_listed(given)}") from None

    def _stored(self, name: str, fine: bool, text: str) -> JsonValue:
        if not fine:
            raise ScriptFailed("variable-type", f"{name} {blame.unfit(text)}")
        if len(text.encode()) > self._limits.variable:
            raise ScriptFailed("variable-size", f"{name} is larger than {self._limits.variable // 1024} KB")
        try:
            value = cast("JsonValue", orjson.loads(text))
        except orjson.JSONDecodeError:
            raise ScriptFailed("variable-size", f"{name} is nested too deeply") from None
        if _SUSPECT.search(text) and (reason := blame.unstorable(value)):
            raise ScriptFailed("variable-type", f"{name} {reason}")
        return value

    def _started(self) -> Monty:
        if _used_in not in (0, os.getpid()):
            raise RuntimeError("this process was forked from one that ran scripts; start it by spawn instead")
        with self._lock:
            if self._pool is None:
                pool = Monty(
                    min_processes=1,
                    max_processes=self._workers,
                    checkout_timeout=30.0,
                    max_checkouts_per_worker=5_000,
                    feed_duration_limit_grace=self.GRACE,
                    turn_duration_limit_grace=self.GRACE,
                )
                _skip_tracing()
                _note_use()
                pool.__enter__()
                self._pool, self._pid = pool, os.getpid()
            return self._pool

    def _forget(self) -> None:
        """In a forked child the parent's worker pipes are not ours to use, and its lock may be held for ever."""
        self._pool, self._lock = None, threading.Lock()

    def _resources(self) -> ResourceLimits:
        return {
            "max_feed_duration_secs": self._limits.seconds,
            "max_memory": self._limits.memory,
            "max_recursion_depth": 200,
            "max_suspensions": 10,
            "max_total_sleep_secs": 0.0,
        }

    def _policy(self, now: datetime | None) -> OSPolicy:
        policy: OSPolicy = {"sleep": "zero", "timezone": self._limits.time_zone}
        if now is not None:
            policy["datetime"] = now
        return policy


_used_in = 0
"""The process in which the interpreter's own threads were started, which no fork takes along; 0 before that."""


def _skip_tracing() -> None:
    """The interpreter asks for OpenTelemetry at each call; where there is none, each would search the whole path."""
    if importlib.util.find_spec("opentelemetry") is None:
        sys.modules.setdefault("opentelemetry", cast("Any", None))


def _note_use() -> None:
    global _used_in  # belongs to the process, as those threads do
    _used_in = os.getpid()


_LIMIT_TEXTS = {
    "time-out": "it ran longer than it may",
    "memory": "it needed more memory than it may",
}
_SUSPECT = re.compile(r"\d{19}|e\+\d\d|\\u0000")
_MISSING = re.compile(r"name '(\w+)' is not defined")


def _failure(compiled: Compiled, error: MontyRuntimeError, data: Mapping[str, Any]) -> Exception:
    inner = error.exception()
    text = str(inner)
    if text.startswith(ERROR_MARK):
        code, _, message = text[len(ERROR_MARK) :].partition("\x01")
        return BpmnErrorRaised(code, message)
    if isinstance(inner, TimeoutError) and "limit exceeded" in text:
        return ScriptFailed("time-out", _LIMIT_TEXTS["time-out"])
    if isinstance(inner, MemoryError):
        return ScriptFailed("memory", _LIMIT_TEXTS["memory"])
    frames = [frame.line - compiled.offset for frame in error.traceback()]
    line = next((number for number in reversed(frames) if number > 0), 0)
    missing = _MISSING.search(text) if isinstance(inner, NameError) else None
    if missing is not None and missing[1] in compiled.reads and missing[1] not in data:
        return ScriptFailed("name-not-set", f"{missing[1]} is not set", line)
    return ScriptFailed("script-error", blame.explain(compiled.source, line, inner), line)


def _drop(_stream: str, _text: str) -> None:
    """`print` in a model goes nowhere: its output may hold patient data and must not reach a log."""


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(sorted(names)) or "none"


_shared: dict[str, Sandbox] = {}


def sandbox() -> Sandbox:
    """The process's sandbox, with the limits of the settings."""
    if "sandbox" not in _shared:
        engine = settings().engine
        limits = Limits(
            engine.script_seconds,
            engine.script_memory_mb * 1024 * 1024,
            engine.variable_kb * 1024,
            settings().clinic.time_zone,
        )
        _shared.setdefault("sandbox", Sandbox(limits, workers=max(2, min(4, os.cpu_count() or 2))))
    return _shared["sandbox"]
