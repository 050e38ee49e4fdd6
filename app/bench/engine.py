"""What a step costs in process: no web, no database, one thread. Every step goes through the saved state."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from statistics import median, quantiles
from typing import Any

from app.bench import drawings
from app.core.root import ROOT
from app.engines.spiff import steps
from app.engines.spiff.outcome import Bounds, Outcome
from app.engines.spiff.sandbox import compile_script, sandbox
from app.engines.spiff.specs import BundleFile, LoadedSpec, check_bundle, load_spec

APPOINTMENT = ROOT / "bpmn/bench/appointment.bpmn"
FORMS: tuple[dict[str, Any], ...] = (
    {"specialization": "Cardiology"},
    {"docid": "HSP-200"},
    {"date_scheduled": "2030-01-15", "time_scheduled": "10:30"},
    {"patientid": "1", "ticketid": "T-20001", "priority_level": "3"},
)
"""What people enter in the measured appointment, form by form."""
NOW = datetime(2030, 1, 1, tzinfo=UTC)
BOUNDS = Bounds(steps=1_000_000, seconds=120.0)


def measure(report: Callable[[str], None], rounds: int = 300) -> dict[str, Any]:
    """Every figure of `dams bench engine`; times in milliseconds, sizes in bytes."""
    report("appointment")
    figures = appointment(rounds)
    report("a form in a loop")
    figures |= growth(1000)
    report("a script in a loop")
    figures |= endless(1000)
    report("a model with 1,000 forms")
    figures |= width(10, 1000)
    report("sandbox")
    return figures | scripts(rounds)


def appointment(rounds: int) -> dict[str, Any]:
    """Start and four completions, again and again."""
    model = check_bundle([BundleFile(APPOINTMENT.name, APPOINTMENT.read_bytes())]).models[0]
    spec = load_spec(model.spec)
    one = [outcome for outcome, _ in _appointment(spec)]  # the first one also warms up
    began, count = time.perf_counter(), 0
    spent: list[float] = []
    for _ in range(rounds):
        for outcome, seconds in _appointment(spec):
            count += outcome.steps
            spent.append(seconds)
    elapsed = time.perf_counter() - began
    return {
        "appointment_ms": elapsed / rounds * 1000,
        "request_p50_ms": median(spent) * 1000,
        "request_p95_ms": quantiles(spent, n=20)[-1] * 1000,
        "steps_per_s": count / elapsed,
        "spec_bytes": len(model.spec),
        "state_bytes": [len(outcome.state) for outcome in one],
        "completed": one[-1].status == "completed",
    }


def _appointment(spec: LoadedSpec) -> Iterable[tuple[Outcome, float]]:
    outcome, seconds = _timed(lambda: steps.start(spec, {}, bounds=BOUNDS, now=NOW))
    yield outcome, seconds
    for form in FORMS:
        outcome, seconds = complete(spec, outcome, form)
        yield outcome, seconds


def growth(turns: int) -> dict[str, Any]:
    """One completion of a form that comes again and again: the first turn, the 300th, the last."""
    spec = drawings.loaded(drawings.form_in_a_loop(turns))
    outcome, spent, sizes = steps.start(spec, {"turn": 0}, bounds=BOUNDS, now=NOW), [0.0], [0]
    while outcome.status == "running":
        outcome, seconds = complete(spec, outcome, {"f_t0": "x"})
        spent.append(seconds)
        sizes.append(len(outcome.state))
    first, at_300, last = (median(spent[i : i + 20]) * 1000 for i in (1, 290, len(spent) - 20))
    return {
        "turn_first_ms": first,
        "turn_300_ms": at_300,
        "turn_last_ms": last,
        "turn_300_against_first": at_300 / first,
        "loop_state_bytes": {"1": sizes[1], "300": sizes[300], str(turns - 1): sizes[turns - 1]},
        "form_loop_turns": outcome.variables["turn"],
    }


def endless(turns: int) -> dict[str, Any]:
    """A loop without waits must reach its end event and its data: the library's own defaults stop it early."""
    spec = drawings.loaded(drawings.script_in_a_loop(turns))
    outcome, seconds = _timed(lambda: steps.start(spec, {"turn": 0}, bounds=BOUNDS, now=NOW))
    ended = [entry.element_id for entry in outcome.trace if entry.event == "completed"][-1] == "end"
    right = ended and outcome.status == "completed" and outcome.variables == {"turn": turns}
    return {"script_loop_turns": turns, "script_loop_ends_correctly": right, "script_loop_s": seconds}


def width(few: int, many: int, sample: int = 200) -> dict[str, Any]:
    """One completion in a model with few user tasks against one with many."""
    small, large = _row(few, sample), _row(many, sample)
    return {"forms_10_ms": small, "forms_1000_ms": large, "forms_1000_against_10": large / small}


def _row(count: int, sample: int) -> float:
    spec = drawings.loaded(drawings.row_of_forms(count))
    spent: list[float] = []
    while len(spent) < sample:
        outcome = steps.start(spec, {}, bounds=BOUNDS, now=NOW)
        while outcome.status == "running" and len(spent) < sample:
            element = outcome.open_tasks[0].element_id
            # The data is the same at every step, so that only the model's size makes a difference.
            outcome, seconds = complete(spec, outcome, {"value": element})
            spent.append(seconds)
    return median(spent) * 1000


def scripts(calls: int) -> dict[str, Any]:
    """One call of the sandbox: a small script on ten variables, a condition, and a script on 100 kB of data."""
    data: dict[str, Any] = {f"v{number}": f"value {number}" for number in range(10)} | {
        "n": 3,
        "rows": ["x" * 100] * 1000,
    }
    texts = {"small": "total = n * 2 + len(v1)", "large": "total = len([r for r in rows if r == v1])"}
    figures: dict[str, Any] = {}
    for name, source in texts.items():
        compiled = compile_script(source)
        sandbox().execute(compiled, data)
        spent = [_timed(lambda: sandbox().execute(compiled, data))[1] * 1000 for _ in range(calls)]  # noqa: B023 - run at once
        figures |= {f"sandbox_{name}_p50_ms": median(spent), f"sandbox_{name}_p95_ms": quantiles(spent, n=20)[-1]}
    return figures


def complete(spec: LoadedSpec, outcome: Outcome, values: dict[str, Any]) -> tuple[Outcome, float]:
    """One completion of the open task, and its seconds."""
    task = outcome.open_tasks[0].id
    return _timed(lambda: steps.complete(spec, outcome.state, task, values, bounds=BOUNDS, now=NOW))


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    result = work()
    return result, time.perf_counter() - began
