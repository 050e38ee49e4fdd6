"""Saving little, forgetting the past and predicting nothing must not change what an instance does.

Random models take random steps in SpiffWorkflow as it comes and in ours, each saved and read back before every step;
both must have the same tasks open and wait for the same events, and what SpiffWorkflow ends with ours must end with.
What branches know of each other on the way is no part of it: here they work on the same variables, in SpiffWorkflow
each on a copy, and what was set in a sub-process that is interrupted is lost there.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engines.spiff.chance import models
from tests.engines.spiff.runs import NOW, Run, unchecked
from tests.engines.spiff.stock import Stock, seen

STEPS = 25


def view(run: Run) -> dict[str, Any]:
    outcome = run.outcome
    return {
        "completed": outcome.status == "completed",
        "open": sorted(task.element_id for task in outcome.open_tasks),
        "waiting": sorted((w.kind, w.name if w.kind == "message" else w.element_id) for w in outcome.waiting),
    }


def agree(run: Run, stock: Stock) -> None:
    ours, theirs = view(run), stock.view()
    data = theirs.pop("data")
    assert ours == theirs
    if data is not None:
        assert {name: run.variables.get(name) for name in data} == data


def choices(run: Run) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = [("complete", number) for number in range(len(run.outcome.open_tasks))]
    found += [("deliver", name) for name in sorted({w.name for w in run.outcome.waiting if w.kind == "message"})]
    if any(w.kind == "timer" for w in run.outcome.waiting):
        found.append(("advance", timedelta(hours=1, seconds=1)))
    return found


def take(stock: Stock, run: Run, kind: str, what: Any, step: int) -> None:
    if kind == "complete":
        tasks = sorted(run.outcome.open_tasks, key=lambda task: seen(task.element_id, task.values))
        run.outcome.open_tasks[:] = [tasks[what]]
        values = {f"{tasks[what].element_id}_n": step}
        run.complete(tasks[what].element_id, **values)
        stock.complete(what, values)
    elif kind == "deliver":
        run.deliver("message", what)
        stock.deliver(what)
    else:
        run.proceed(run.now + what)
        stock.advance(run.now)


@settings(max_examples=60, derandomize=True, deadline=None, print_blob=True,
          suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])  # fmt: skip
@given(models(), st.data())
def test_our_engine_does_what_stock_spiffworkflow_does(
    model: tuple[list[bytes], dict[str, Any]], data: st.DataObject
) -> None:
    files, variables = model
    stock, run = Stock(files, variables, NOW), Run(unchecked(*files), **variables)
    agree(run, stock)
    for step in range(STEPS):
        possible = choices(run)
        if not possible:
            break
        kind, what = data.draw(st.sampled_from(possible))
        take(stock, run, kind, what, step)
        agree(run, stock)
    assert not run.incidents
