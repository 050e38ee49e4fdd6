"""The saved state: small, of our own form, and everything comes back as it was."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engines.spiff import blueprints, codec, specs, values
from app.engines.spiff.blueprints import ForeignForm
from tests.drawing import definitions, flow, gateway, script, sequence, user_task
from tests.engines.spiff.runs import NOW, WIDE, Run, compiled, loaded
from tests.engines.spiff.shapes import END, START, boundary, catch, many, sub_process, with_loop

STORED = Path(__file__).parent

SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text() | st.datetimes() | st.datetimes(timezones=st.just(UTC)) | st.dates() | st.times() | st.timedeltas()
    | st.uuids() | st.decimals(allow_nan=False, allow_infinity=False)
)  # fmt: skip
DATA = st.dictionaries(
    st.text(), st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
)


def exactly(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return type(other) is dict and list(one) == list(other) and all(exactly(one[k], other[k]) for k in one)
    if isinstance(one, list):
        return type(other) is list and len(one) == len(other) and all(map(exactly, one, other))
    return type(one) is type(other) and one == other


@given(DATA)
def test_every_value_comes_back_as_it_was_type_and_all(data: dict[str, Any]) -> None:
    values.check(data, 10**6)
    assert exactly(data, values.unpack(values.pack(values.wrap(data))))


def test_dates_times_and_ids_survive_the_steps_of_an_instance() -> None:
    given: dict[str, Any] = {
        "moment": datetime(2026, 11, 24, 10, 30, tzinfo=UTC),
        "naive": NOW.replace(tzinfo=None), "day": date(2026, 1, 2),
        "clock": time(10, 30), "span": timedelta(days=1, microseconds=7), "key": UUID(int=7), "fee": Decimal("10.50"),
    }  # fmt: skip
    spec = loaded(sequence("p", user_task("a"), user_task("b")))
    run = Run(spec, **given).complete("a")
    instance = codec.decode(spec, run.state, None, WIDE, NOW)
    token = next(t for t in instance.frontier.values())
    assert exactly(token.data, given)
    assert json.dumps(run.variables)  # and people see them as JSON


@pytest.mark.parametrize(
    "value", ["x", {"typename": "datetime"}, {"typename": "BpmnEvent", "x": 1}, [{"typename": None}], {"typename": {}}]
)
def test_a_value_with_the_key_typename_is_a_value_like_any_other(value: Any) -> None:
    run = Run(loaded(sequence("p", user_task("a"), user_task("b"))), typename=value)
    run.complete("a", form={"typename": value}).complete("b")
    assert (run.status, run.variables) == ("completed", {"typename": value, "form": {"typename": value}})


def test_a_number_that_becomes_a_boolean_is_saved_as_one() -> None:
    run = Run(loaded(sequence("p", script("s", "n = True\nm = 1.0"), user_task("a"), user_task("b"))), n=1, m=1)
    run.complete("a")
    assert (run.variables["n"] is True, type(run.variables["m"])) == (True, float)


def test_a_variable_of_another_kind_is_refused_by_name_before_it_is_saved() -> None:
    spec = loaded(sequence("p", user_task("a")))
    instance = codec.decode(spec, Run(spec).state, None, WIDE, NOW)
    token = next(iter(instance.frontier.values()))
    for bad in ({1}, print, float("inf"), object(), (1, 2), {1: 2}, b"x"):
        token.data = {"well": 1, "odd": bad}
        with pytest.raises(values.BadVariable) as refused:
            codec.encode(instance)
        assert (refused.value.name, refused.value.code) == ("odd", "variable-type")


def test_the_state_holds_neither_the_specification_nor_what_is_to_come() -> None:
    long = loaded(sequence("p", *(user_task(f"task_{n}") for n in range(50))))
    short = loaded(sequence("p", *(user_task(f"task_{n}") for n in range(5))))
    run = Run(long, name="Ana")
    assert len(run.state) == len(Run(short, name="Ana").state) < 150
    assert b"task_" not in run.state
    for number in range(40):
        run.complete(f"task_{number}")
    assert len(run.state) < 200


def test_a_long_past_is_forgotten_and_the_data_is_not() -> None:
    xml = definitions(
        "p", START, gateway("exclusive", "merge"), user_task("a"), script("s", "n = n + 1"),
        gateway("exclusive", "again", default="leave"), END, flow("start", "merge"), flow("merge", "a"),
        flow("a", "s"), flow("s", "again"), flow("again", "merge", "n < 60"), flow("again", "end", flow_id="leave"),
    )  # fmt: skip
    run = Run(loaded(xml), n=0)
    sizes: list[int] = []
    while run.status == "running":
        sizes.append(len(run.state))
        run.complete("a", note=f"{len(sizes):03}")
    assert run.variables == {"n": 60, "note": "060"}
    assert max(sizes) < min(sizes) + 30


def test_everything_that_waits_is_there_again_after_a_reload() -> None:
    names = '<bpmn:message id="m1" name="paid" />'
    inner = sub_process("sub", user_task("b"), flow("sub.start", "b"), flow("b", "sub.end"))
    xml = definitions(
        "p", START, gateway("parallel", "fork"), user_task("a"), boundary("late", "a", "timeDuration", "PT1H"),
        catch("m", "message", "m1"), with_loop(inner, many(sequential=False, cardinality="2")),
        gateway("parallel", "join"), END, '<bpmn:endEvent id="too_late" />', flow("start", "fork"), flow("fork", "a"),
        flow("fork", "m"), flow("fork", "sub"), flow("a", "join"), flow("m", "join"), flow("sub", "join"),
        flow("join", "end"), flow("late", "too_late"), before=names,
    )  # fmt: skip
    run = Run(loaded(xml))
    before = (run.open, [(w.kind, w.name, w.due_at) for w in run.outcome.waiting])
    run.proceed()
    assert (run.open, [(w.kind, w.name, w.due_at) for w in run.outcome.waiting]) == before
    ids = {task.id for task in run.outcome.open_tasks}
    assert {task.id for task in run.proceed().outcome.open_tasks} == ids
    run.complete("b").deliver("message", "paid").complete("a").complete("b")
    assert run.status == "completed"


def test_foreign_states_and_those_of_a_newer_release_are_refused() -> None:
    spec = loaded(sequence("p", user_task("a")))
    other = loaded(sequence("q", user_task("a")))
    state = Run(spec).state
    stock = json.dumps({"serializer_version": "1.4", "tasks": {}}).encode()
    for foreign in (b"", stock, b"\x80\x04K\x01.", bytes([codec.VERSION + 1]) + state[1:], state[:9], b"\x01\xc0"):
        with pytest.raises(ForeignForm):
            codec.decode(spec, foreign, None, WIDE, NOW)
    with pytest.raises(ForeignForm):
        codec.decode(other, state, None, WIDE, NOW)
    content = compiled(sequence("p", user_task("a")))[0].spec
    for foreign in (b"", stock, bytes([blueprints.VERSION + 1]) + content[1:], content[:9], b"\x01\xc0"):
        with pytest.raises(ForeignForm):
            specs.load_spec(foreign)


@pytest.mark.parametrize("version", range(1, max(codec.VERSION, blueprints.VERSION) + 1))
def test_what_a_release_stored_is_read_by_this_one(version: int) -> None:
    """One file per released form: a model and an instance of it, in the middle of everything."""
    stored = json.loads((STORED / f"stored_form_{version}.json").read_bytes())
    model, state = (base64.b64decode("".join(stored[part])) for part in ("spec", "state"))
    run = Run.__new__(Run)
    run.spec, run.state, run.bounds, run.now, run.trace, run.sent = specs.load_spec(model), state, WIDE, NOW, [], []
    run.proceed()
    assert (run.open, run.incidents) == (["a", "b"], [("s", "script-error")])
    assert [(w.element_id, w.due_at) for w in run.outcome.waiting] == [("late", NOW + timedelta(hours=1))]
    run.complete("b", z=2).complete("a").retry(x=2)
    assert run.status == "completed"
    assert run.variables == {"x": 2, "when": NOW.isoformat(), "note": {"typename": "x"}, "z": 2, "y": 5.0}


def test_the_same_file_compiles_to_the_same_bytes() -> None:
    xml = sequence("p", user_task("a"), script("s", "x = 1"))
    assert compiled(xml)[0].spec == compiled(xml)[0].spec


def test_many_threads_run_their_instances_on_one_specification() -> None:
    inner = sub_process("sub", user_task("b"), script("s", "y = x * 2"), flow("sub.start", "b"), flow("b", "s"),
                        flow("s", "sub.end"))  # fmt: skip
    xml = definitions(
        "p", START, gateway("parallel", "fork"), user_task("a"),
        with_loop(inner, many(sequential=True, cardinality="2")), gateway("parallel", "join"), END,
        flow("start", "fork"),
        flow("fork", "a"), flow("fork", "sub"), flow("a", "join"), flow("sub", "join"), flow("join", "end"),
    )  # fmt: skip
    spec = loaded(xml)
    before = msgspec.msgpack.encode([list(task._inputs) for task in spec.spec.task_specs.values()])

    def flow_of(number: int) -> dict[str, Any]:
        run = Run(spec, x=number)
        run.complete("b").complete("a", own=str(uuid4())).complete("b")
        assert run.status == "completed"
        return run.variables

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(flow_of, range(60)))
    assert [data["y"] for data in found] == [number * 2 for number in range(60)]
    assert before == msgspec.msgpack.encode([list(task._inputs) for task in spec.spec.task_specs.values()])
