"""A specification in Python as the JSON file that can be deployed: SpiffWorkflow's layout, without its pickles."""

from __future__ import annotations

import json
from typing import Any

from app.engines.spiff.coded import operators


def dump(spec: Any) -> bytes:
    """The file of a `WorkflowSpec` made of `StartTask`, `Simple` and `ExclusiveChoice`; reading it gives the same."""
    tasks = {name: _task(task) for name, task in spec.task_specs.items()}
    file = {"name": spec.name, "description": spec.description, "task_specs": tasks}
    return (json.dumps(file, indent=2, default=str) + "\n").encode()


def _task(task: Any) -> dict[str, Any]:
    kind = type(task)
    found: dict[str, Any] = {
        "class": f"{kind.__module__}.{kind.__name__}",
        "description": task.description or "",
        "manual": bool(task.manual),
        "inputs": list(dict.fromkeys(task._inputs)),
        "outputs": list(dict.fromkeys(task._outputs)),
    }
    if task.data:
        found["data"] = dict(task.data)
    if hasattr(task, "cond_task_specs"):
        ways = [(condition, target) for condition, target in task.cond_task_specs if condition is not None]
        found["cond_task_specs"] = [[operators.written(condition), target] for condition, target in ways]
        found["default_task_spec"] = task.default_task_spec
    return found
