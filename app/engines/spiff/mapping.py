"""Variables on their way into an activity and out of it: Camunda's input and output parameters, in and out mappings.

An input is the activity's own: when it has finished, the name means again what it meant before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.engines.spiff.tokens import Token

# A rule is [name, Python expression, None] or [name, None, name of the source]; ["", None, None] stands for all.
Rules = Sequence[Sequence[str | None]]


def mapped(token: Token, rules: Rules, data: Mapping[str, Any], onto: Mapping[str, Any]) -> dict[str, Any]:
    """*onto* with what the rules make of *data*; a source that is not set gives None."""
    result = dict(onto)
    for name, expression, source in rules:
        if not name:
            result.update(data)
        elif expression is None:
            result[name] = data.get(source or "")
        else:
            seen = {**data, **result}
            result[name] = token.workflow.script_engine.evaluate_on(seen, expression, token)
    return result


def enter(token: Token, inputs: Rules) -> None:
    """The token's data with the inputs; what they hide is kept aside."""
    values = mapped(token, inputs, token.data, {})
    hidden = {name: token.data[name] for name in values if name in token.data}
    token.internal_data = {**token.internal_data, "local": hidden}
    token.data = {**token.data, **values}


def leave(token: Token, inputs: Rules, outputs: Rules) -> None:
    """The outputs, computed with the inputs in sight, which then are gone."""
    values = mapped(token, outputs, token.data, {})
    own = {name for name, _, _ in inputs}
    hidden = token.internal_data.get("local", {})
    kept = {name: value for name, value in token.data.items() if name not in own}
    token.internal_data = {key: value for key, value in token.internal_data.items() if key != "local"}
    token.data = {**kept, **hidden, **values}


def cross(host: Token, payload: dict[str, Any]) -> None:
    """What an error or escalation brings out of *host*: no more than that activity would give at its end."""
    spec = host.task_spec
    if spec.outs is not None:
        found = mapped(host, spec.outs, payload, {})
        payload.clear()
        payload.update(found)
    for name, _, _ in spec.takes:
        payload.pop(str(name), None)
