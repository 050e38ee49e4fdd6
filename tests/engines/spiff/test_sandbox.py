"""Scripts and expressions of models: what they may do, what they are kept from, and that the service goes on."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engines.spiff import scripts
from app.engines.spiff.sandbox import (
    BpmnErrorRaised,
    Compiled,
    Limits,
    Sandbox,
    ScriptFailed,
    ScriptRefused,
    compile_expression,
    compile_script,
)
from tests.engines.spiff.hostile import ESCAPES, EXHAUSTING, SCRIPTS

SANDBOX = Sandbox(Limits(time_zone="America/New_York"), workers=2)
NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)


@pytest.fixture(scope="module", autouse=True)
def closed_after() -> Iterator[None]:
    yield
    SANDBOX.close()


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "canary"
    path.write_text("untouched")
    yield path
    assert path.read_text() == "untouched"


def run(source: str, **data: Any) -> dict[str, Any]:
    return SANDBOX.execute(compile_script(source), data, now=NOW)


def value(source: str, **data: Any) -> Any:
    return SANDBOX.evaluate(compile_expression(source), data, now=NOW)


def failure(source: str, **data: Any) -> ScriptFailed:
    with pytest.raises(ScriptFailed) as raised:
        run(source, **data)
    return raised.value


def test_a_script_sets_variables_and_sees_those_of_the_instance() -> None:
    source = "if ticket == '':\n    proceed = False\nelse:\n    proceed = True"
    assert run(source, ticket="T-1") == {"proceed": True}
    assert run(source, ticket="") == {"proceed": False}


def test_a_list_changed_in_place_comes_back_and_the_given_one_is_left_alone() -> None:
    lines = [{"price": 1}]
    assert run("lines.append({'price': 2})\nlines[0]['price'] = 9", lines=lines) == {
        "lines": [{"price": 9}, {"price": 2}]
    }
    assert lines == [{"price": 1}]


def test_adding_to_a_variable_reads_it_first() -> None:
    assert run("total += 5", total=1) == {"total": 6}


def test_a_change_through_a_second_name_comes_back_too() -> None:
    assert run("_same = order\n_same['paid'] = True", order={"paid": False}) == {"order": {"paid": True}}


def test_only_the_names_a_script_reads_are_handed_in() -> None:
    """A value that cannot cross the border does no harm as long as the script does not ask for it."""
    assert run("total = price * 2", price=4, unrelated=object()) == {"total": 8}


def test_names_with_an_underscore_stay_in_the_script() -> None:
    assert run("from datetime import date\n_day = date(2026, 1, 2)\nday = _day.isoformat()") == {"day": "2026-01-02"}


def test_functions_and_modules_are_not_data() -> None:
    assert run("import json\ndef double(n):\n    return n * 2\ntext = json.dumps(double(2))") == {"text": "4"}


def test_a_variable_goes_before_a_built_in_name() -> None:
    assert value("type == 'visit'", type="visit") is True


def test_a_variable_may_have_the_name_of_a_function() -> None:
    assert value("age < 18", age=7) is True


def test_a_name_that_is_not_set_is_named_with_its_line() -> None:
    error = failure("a = 1\nb = a + missing")
    assert (error.code, error.message, error.line) == ("name-not-set", "missing is not set", 2)


@pytest.mark.parametrize(
    "source",
    ["x = int(secret)", "x = secret.year", "x = {}[secret]", "raise ValueError(secret)", "assert secret == 'x'",
     "x = 1 + secret", "x = [].index(secret)"],
)  # fmt: skip
def test_a_failure_names_variables_and_never_shows_a_value(source: str) -> None:
    error = failure(source, secret="Ana Cruz")
    assert error.code == "script-error"
    assert error.line == 1
    assert "secret" in error.message
    assert "Ana" not in error.message


def test_a_failure_in_the_authors_own_words_is_shown() -> None:
    assert failure("if amount < 5:\n    raise ValueError('too small')", amount=1).message.startswith(
        "too small, line 2"
    )


def test_a_bpmn_error_comes_out_with_code_and_message() -> None:
    with pytest.raises(BpmnErrorRaised) as raised:
        run("raise BpmnError('NO_SLOT', f'nothing on {day}')", day="Monday")
    assert (raised.value.code, raised.value.message) == ("NO_SLOT", "nothing on Monday")


def test_a_bpmn_error_needs_no_message() -> None:
    with pytest.raises(BpmnErrorRaised) as raised:
        run("raise BpmnError('NO_SLOT')")
    assert (raised.value.code, raised.value.message) == ("NO_SLOT", "")


@pytest.mark.parametrize(
    ("source", "type_", "cure"),
    [
        ("from datetime import date\nday = date(2026, 1, 1)", "date", ".isoformat()"),
        ("day = {1, 2}", "set", "sorted()"),
        ("day = range(3)", "range", "list()"),
        ("day = [{'a': len}]", "builtin_function_or_method", "plain"),
        ("from decimal import Decimal\nday = Decimal('1.1')", "Decimal", "str()"),
    ],
)
def test_a_value_that_is_no_plain_data_is_refused_by_name(source: str, type_: str, cure: str) -> None:
    message = failure(source).message
    assert message.startswith(f"day is or holds a {type_}")
    if cure != "plain":
        assert cure in message


@pytest.mark.parametrize("source", ["x = float('nan')", "x = [float('inf')]", "x = 10 ** 30", "x = chr(0)"])
def test_a_value_the_database_cannot_keep_is_refused_by_name(source: str) -> None:
    assert failure(source).message.startswith("x holds")


def test_what_a_timer_needs_may_be_a_date_or_a_duration() -> None:
    assert value("d", d="PT1H") == "PT1H"
    code = compile_script("from datetime import timedelta\n_x = timedelta(hours=2)").code
    assert "timedelta" in code
    assert SANDBOX.evaluate(compile_expression("add_minutes('2026-01-01T10:00:00', 30)"), {}) == "2026-01-01T10:30:00"


def test_the_time_a_script_sees_is_the_time_it_is_given() -> None:
    assert run("a = now()\nb = today()") == {"a": "2026-11-24T10:00:00-05:00", "b": "2026-11-24"}
    later = NOW + timedelta(days=40)
    assert SANDBOX.execute(compile_script("b = today()"), {}, now=later) == {"b": "2027-01-03"}


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        ("add_days('2026-02-28', 1)", "2026-03-01"),
        ("add_minutes('2026-11-24T23:50:00-05:00', 20)", "2026-11-25T00:10:00-05:00"),
        ("minutes_between('2026-01-01T10:00:00', '2026-01-01T11:30:00')", 90.0),
        ("weekday('2026-11-24')", 2),
        ("age('1980-11-25', '2026-11-24')", 45),
        ("age('1980-11-24', '2026-11-24')", 46),
    ],
)
def test_the_functions_answer_the_same_inside_and_outside_the_sandbox(call: str, answer: object) -> None:
    assert value(call) == answer
    assert eval(call, {name: getattr(scripts, name) for name in scripts.NAMES}) == answer  # noqa: S307 - our own texts


@pytest.mark.parametrize("payload", ESCAPES)
def test_an_expression_cannot_leave_the_sandbox(payload: str, canary: Path) -> None:
    with pytest.raises((ScriptRefused, ScriptFailed)):
        value(payload.replace("CANARY", str(canary)))


@pytest.mark.parametrize("payload", [*ESCAPES, *SCRIPTS])
def test_a_script_cannot_leave_the_sandbox(payload: str, canary: Path) -> None:
    with pytest.raises((ScriptRefused, ScriptFailed)):
        run(payload.replace("CANARY", str(canary)))


@pytest.mark.parametrize("payload", [*ESCAPES, *SCRIPTS])
def test_the_interpreter_holds_even_if_the_deployment_check_let_it_through(payload: str, canary: Path) -> None:
    """The second wall on its own: the same texts, handed to the interpreter unchecked."""
    source = payload.replace("CANARY", str(canary))
    raw = Compiled("script", "pass", f"{source}\n[]", 0, frozenset(), (), mutates=False)
    try:
        answer = SANDBOX.execute(raw, {})
    except (ScriptFailed, ValueError, TypeError):
        return
    assert answer == {}


@pytest.mark.parametrize("what", EXHAUSTING)
def test_a_script_that_uses_up_the_machine_ends_at_its_limit(what: str) -> None:
    source, codes = EXHAUSTING[what]
    began = time.monotonic()
    try:
        run(source)
        code = ""
    except ScriptFailed as error:
        code = error.code
    assert code in codes
    assert time.monotonic() - began < 60  # its limit is a second, and the machine may be busy
    assert value("1 + 1") == 2


def test_a_worker_that_dies_is_replaced() -> None:
    sandbox = Sandbox(Limits(), workers=1)
    try:
        for _ in range(3):
            with pytest.raises(ScriptFailed):
                sandbox.execute(compile_script("x = 3\nwhile True:\n    x = x * x"), {})
            assert sandbox.execute(compile_script("x = 1"), {}) == {"x": 1}
    finally:
        sandbox.close()


def test_thirty_two_threads_get_their_own_answers() -> None:
    compiled = compile_script("mine = number * 2\nothers = [n for n in range(number)]")
    with ThreadPoolExecutor(32) as threads:
        answers = list(threads.map(lambda n: SANDBOX.execute(compiled, {"number": n}), range(320)))
    assert answers == [{"mine": n * 2, "others": list(range(n))} for n in range(320)]


def test_nothing_is_left_for_the_next_call() -> None:
    run("left_behind = 1")
    assert failure("x = left_behind").code == "name-not-set"


def test_a_call_waits_while_the_workers_are_busy() -> None:
    sandbox = Sandbox(Limits(), workers=1)
    try:
        spin = threading.Thread(target=_spin, args=(sandbox,))
        spin.start()
        assert sandbox.execute(compile_script("x = 1"), {}) == {"x": 1}
        spin.join()
    finally:
        sandbox.close()


def _spin(sandbox: Sandbox) -> None:
    with pytest.raises(ScriptFailed):
        sandbox.execute(ENDLESS, {})


ENDLESS = compile_script("while True:\n    pass")


FORK = """
import os, sys
from app.engines.spiff.sandbox import Limits, Sandbox, compile_expression
sandbox = Sandbox(Limits(), workers=1)
if sys.argv[1] == "used":
    sandbox.evaluate(compile_expression("1"), {})
child = os.fork()
if child == 0:
    try:
        answer = sandbox.evaluate(compile_expression("6 * 7"), {})
    except RuntimeError:
        answer = 1
    os._exit(answer)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), sandbox.evaluate(compile_expression("2 + 2"), {}))
sandbox.close()
"""


@pytest.mark.parametrize(("before", "answer"), [("fresh", "42 4"), ("used", "1 4")])
def test_a_forked_process_has_workers_of_its_own_or_says_why_not(before: str, answer: str) -> None:
    done = subprocess.run([sys.executable, "-c", FORK, before], capture_output=True, text=True, timeout=240, check=True)
    assert done.stdout.strip() == answer


def test_a_closed_sandbox_opens_again_when_asked() -> None:
    sandbox = Sandbox(Limits(), workers=1)
    assert sandbox.evaluate(compile_expression("1"), {}) == 1
    sandbox.close()
    assert sandbox.evaluate(compile_expression("2"), {}) == 2
    sandbox.close()


def test_a_call_takes_at_most_five_milliseconds() -> None:
    script = compile_script("total = 0\nfor line in lines:\n    total = total + line['qty'] * line['price']")
    condition = compile_expression("role == 'doctor'")
    data = {"lines": [{"qty": n, "price": 2} for n in range(20)], "role": "doctor", "note": "x" * 100_000}
    figures = {}
    for name, call in (
        ("script", lambda: SANDBOX.execute(script, data)),
        ("condition", lambda: SANDBOX.evaluate(condition, data)),
    ):
        times = []
        for _ in range(200):
            began = time.perf_counter()
            call()
            times.append((time.perf_counter() - began) * 1000)
        figures[name] = min(times)
    # The fastest: other tests share the machine. `dams bench` measures the 95th percentile on a quiet one.
    assert all(fastest <= 5 for fastest in figures.values()), figures


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc äß", max_size=4), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(plain)
def test_plain_data_comes_out_as_it_went_in(data: Any) -> None:
    if isinstance(data, float) and abs(data) >= 2**63:
        return
    try:
        assert SANDBOX.execute(COPY, {"given": data}) == {"copy": data}
    except ScriptFailed as error:
        assert "64 bits" in error.message  # noqa: PT017 - a float that reads as a huge whole number


COPY = compile_script("copy = given")
