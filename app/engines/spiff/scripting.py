"""Scripts and expressions of a running instance: hands them to the sandbox and keeps what comes back within bounds."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.engines.spiff import exact, values
from app.engines.spiff.nodes import CannotGoOn
from app.engines.spiff.sandbox import (
    BpmnErrorRaised,
    Sandbox,
    ScriptFailed,
    ScriptRefused,
    compile_expression,
    compile_script,
)
from app.engines.spiff.scopes import Failure
from app.engines.spiff.tokens import Token
from app.engines.spiff.values import BadVariable

_log = logging.getLogger(__name__)


class ScriptEngine:
    """What SpiffWorkflow's specs call as ``workflow.script_engine``; one per instance in memory."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.environment = self
        """Some specs ask the environment of the engine instead; it is the same here."""

    def execute(self, task: Token, script: str, external_context: Mapping[str, Any] | None = None) -> bool:
        """Run a script on a token's data; it sees an exact amount as its text.

        Raises:
            ScriptFailed, BpmnErrorRaised: as the sandbox says.
            BadVariable: it set a variable that cannot be kept, or too much of them.
        """
        top = task.workflow.top_workflow
        given = {**external_context, **task.data} if external_context else task.data
        told = {name: str(value) if isinstance(value, Decimal) else value for name, value in given.items()}
        changed = self._sandbox.execute(compile_script(script), told, now=top.now)
        values.check(changed, top.bounds.variable_bytes)
        data = {**task.data, **changed}
        check_total(data, top.bounds.instance_bytes)
        task.data = data
        return True

    def evaluate(self, task: Any, expression: str, external_context: Mapping[str, Any] | None = None) -> Any:
        """The value of an expression on a token's data, or on plain data. Raises as `execute`."""
        if isinstance(task, Token):
            data, now = task.data, task.workflow.top_workflow.now
        else:
            data, now = task, None
        return self._value({**external_context, **data} if external_context else data, expression, now)

    def evaluate_on(self, data: Mapping[str, Any], expression: str, task: Token) -> Any:
        """The value of an expression on other data than the token's own. Raises as `execute`."""
        return self._value(data, expression, task.workflow.top_workflow.now)

    def _value(self, data: Mapping[str, Any], expression: str, now: datetime | None) -> Any:
        compiled = compile_expression(expression)
        if exact.concerns(compiled, data):
            return exact.evaluate(compiled, data)
        return self._sandbox.evaluate(compiled, data, now=now)


def check_total(data: Mapping[str, Any], limit: int) -> None:
    """Raises :class:`BadVariable` if all variables of a token together are larger than *limit* bytes."""
    sizes = {name: values.size(value) for name, value in data.items()}
    if sum(sizes.values()) > limit:
        largest = max(sizes, key=lambda name: sizes[name])
        text = f"the variables together are larger than {limit // 1024} KB; the largest is {largest}"
        raise BadVariable(largest, "variable-size", text)


def failure_of(error: Exception) -> Failure:
    """What an incident says about an exception: variables by name, never a value."""
    if isinstance(error, CannotGoOn):
        return error.failure
    if isinstance(error, BpmnErrorRaised):
        return Failure("uncaught-error", f"the error {error.code} is caught by nothing around it", 0)
    if isinstance(error, ScriptFailed):
        return Failure(error.code, error.message, error.line)
    if isinstance(error, BadVariable):
        return Failure(error.code, error.message, 0)
    if isinstance(error, ScriptRefused):
        return Failure("script-refused", str(error), getattr(error, "line", 0))
    # The places only: the text of an unknown exception may hold a patient's data.
    _log.error("a step ended with %s\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
    return Failure("engine-error", f"the step ended with {type(error).__name__}", 0)
