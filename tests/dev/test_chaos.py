"""The machinery of `dams chaos`: what it chooses, whom it may hurt, what it cuts, and that it sees what is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import asyncpg
import psutil
import pytest
from click.testing import CliRunner

from app.cli.chaos import GUARDS, chaos
from app.core.actor import Actor
from app.core.lifetime import die_with_parent
from app.core.settings import ROOT
from app.db.session import transaction
from app.dev.chaos import altered, cells, invariants, lines, models, place, processes, races, troubles, unguarded
from app.dev.chaos.cells import Cell, NoSuchCell
from app.dev.chaos.clients import GivenUp
from app.dev.chaos.controls import CONTROLS
from app.dev.chaos.crowd import Patient
from app.dev.chaos.invariants import Seen
from app.dev.chaos.ledger import Ledger
from app.dev.chaos.lines import Line
from app.dev.chaos.processes import Foreign
from app.dev.chaos.races import RACES
from app.dev.chaos.reckoning import reckon
from app.dev.chaos.trial import Outcome, Result
from app.dev.seed import deploy_shipped
from app.dev.state import free_ports
from app.engines.spiff import instances
from app.engines.spiff import models as stored
from app.engines.spiff.specs import BundleFile
from temporal import moments
from tests.conftest import cluster, own_database
from tests.waiting import wait_until


@pytest.mark.parametrize("seed", range(20))
def test_every_kill_is_among_the_cells_that_a_seed_chooses(seed: int) -> None:
    chosen = cells.chosen(seed)
    assert len(chosen) == len(set(chosen)) == cells.QUICK
    assert {cell.part for cell in chosen if cell.fault == cells.KILL} == set(cells.PARTS)
    assert chosen == cells.chosen(seed)
    assert any(cells.chosen(other) != chosen for other in range(20) if other != seed)


def test_cells_are_named_by_part_and_fault() -> None:
    assert cells.named(["redis:kill", "web:freeze"]) == [Cell("redis", "kill"), Cell("web", "freeze")]
    assert [cell.fault for cell in cells.named(["redis:*"])] == list(cells.FAULTS)
    assert len(cells.named(["*:*"])) == len(cells.MATRIX) == 36
    assert cells.named(["everything:kill", "relay:duplicate"]) == [
        Cell("everything", "kill"),
        Cell("relay", "duplicate"),
    ]
    assert {(cell.part, cell.fault) for cell in cells.FURTHER} == set(troubles.TROUBLES)
    for unknown in ("redis", "redis:flood", "printer:kill"):
        with pytest.raises(NoSuchCell, match="is no cell; parts: web"):
            cells.named([unknown])


SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def test_only_a_process_that_this_run_started_is_hurt() -> None:
    with subprocess.Popen(SLEEP, preexec_fn=die_with_parent) as own:
        wait_until(lambda: psutil.Process(own.pid).cmdline() == SLEEP)
        born = psutil.Process(own.pid).create_time()
        with pytest.raises(Foreign, match="another one than was started"):
            processes.identify(own.pid, born - 1, SLEEP)
        with pytest.raises(Foreign, match="is '"):
            processes.identify(own.pid, born, [*SLEEP, "--more"])
        parent = psutil.Process(os.getppid())
        with pytest.raises(Foreign, match="was not started by this run"):
            processes.identify(parent.pid, parent.create_time(), parent.cmdline())
        one = processes.identify(own.pid, born, SLEEP)
        processes.send(9, [processes.Identity(own.pid, born - 1)])  # its id is another's now
        assert own.poll() is None
        processes.send(9, processes.family(one))
        assert own.wait(60) == -9
        with pytest.raises(Foreign, match="is not there"):
            processes.identify(2**22 + 1, born, SLEEP)
        processes.send(9, [one])


@contextlib.asynccontextmanager
async def echoing() -> AsyncIterator[Line]:
    """A line to a server that says back what it hears."""

    handling: list[asyncio.Task[Any] | None] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handling.append(asyncio.current_task())
        with contextlib.suppress(OSError):
            while heard := await reader.read(65536):
                writer.write(heard)
                await writer.drain()
        await ended(writer)

    target, port = free_ports(2)
    server, line = await asyncio.start_server(answer, "127.0.0.1", target), Line(port, target)
    await line.open()
    try:
        yield line
    finally:
        await line.close()
        server.close()
        await asyncio.gather(*(task for task in handling if task))


async def ended(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def test_a_line_carries_both_ways_whatever_it_is() -> None:
    async with echoing() as line:
        reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
        sent = os.urandom(3_000_000)
        writer.write(sent)
        assert await reader.readexactly(len(sent)) == sent
        writer.write_eof()
        assert await reader.read() == b""
        await ended(writer)


async def test_a_cut_line_is_silent_and_goes_on_where_it_was_when_it_is_mended() -> None:
    async with echoing() as line:
        reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
        writer.write(b"before")
        assert await reader.readexactly(6) == b"before"
        line.cut()
        writer.write(b"during")
        newer, late = await asyncio.open_connection("127.0.0.1", line.port)
        late.write(b"newer")
        heard = [asyncio.create_task(one.readexactly(n)) for one, n in ((reader, 6), (newer, 5))]
        _done, waiting = await asyncio.wait(heard, timeout=0.3)
        assert len(waiting) == 2
        line.mend()
        assert await asyncio.gather(*heard) == [b"during", b"newer"]
        await ended(writer)
        await ended(late)


async def test_a_cut_that_resets_breaks_what_is_open() -> None:
    async with echoing() as line:
        reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
        writer.write(b"before")
        await reader.readexactly(6)
        line.cut(reset=True)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        await ended(writer)


async def test_an_answer_that_is_lost_was_asked_for_and_ends_its_connection() -> None:
    async with echoing() as line:
        reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
        line.lose()
        writer.write(b"once")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        assert line.loses is False  # the server has answered
        reader, again = await asyncio.open_connection("127.0.0.1", line.port)
        again.write(b"twice")
        assert await reader.readexactly(5) == b"twice"
        await ended(writer)
        await ended(again)


def test_a_cut_meets_the_lines_to_a_server_and_those_from_a_worker() -> None:
    made = {(client, server): Line(0, 0) for client in ("relay", "celery") for server in ("redis", "postgresql")}
    made["users", "web"] = Line(0, 0)
    assert lines.reaching(made, "redis") == [made["relay", "redis"], made["celery", "redis"]]
    assert lines.reaching(made, "relay") == [made["relay", "redis"], made["relay", "postgresql"]]
    assert lines.reaching(made, "web") == [made["users", "web"]]


async def test_the_ledger_is_on_the_disk_line_by_line(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    await ledger.open()
    for number in range(50):
        ledger.tell({"what": "start", "number": number})
    told = await ledger.close()
    assert [one["number"] for one in told] == list(range(50))
    assert ledger.file.stat().st_mode & 0o777 == 0o600


@pytest.fixture
async def clinic(monkeypatch: pytest.MonkeyPatch, clinic_template: str, _settings: None) -> AsyncIterator[str]:
    """A demo clinic with the models of the load, as its owner sees it."""
    async with own_database(monkeypatch, clinic_template) as url:
        report = await stored.check([BundleFile("form.bpmn", models.drawn()[models.FORM])])
        async with transaction() as session:
            await stored.deploy(session, None, report)
        yield cluster().url(url.rpartition("/")[2]).replace("+asyncpg", "")


async def value(database: str, sql: str, *given: Any) -> Any:
    connection = await asyncpg.connect(database)
    try:
        return await connection.fetchval(sql, *given)
    finally:
        await connection.close()


async def worked(database: str) -> list[dict[str, Any]]:
    """Somebody starts an instance and completes its first form; what the ledger says of it."""
    number = await value(database, "select id from login where username = 'staff'")
    staff = Actor(number, "staff", "Staff", frozenset({"staff"}))
    async with transaction() as session:
        view = await instances.start(session, staff, models.FORM, {}, key="k0")
    task = view.tasks[0].id
    async with transaction() as session:
        await instances.complete(session, staff, task, {"entry_1": "x"}, key="k1")
    said = {"status": 200, "path": "/", "at": time.time(), "s": 0.1}
    started = said | {"what": "start", "key": "k0", "id": str(view.id), "status": 201}
    return [started, said | {"what": "complete", "key": "k1", "task": str(task)}]


async def test_what_was_told_and_is_there_breaks_nothing(clinic: str) -> None:
    assert await invariants.broken(clinic, Seen(await worked(clinic))) == {}


LOST_TASK = "update user_task set state = 'ready', completion_key = null where state = 'completed'"
OTHER_KEY = "update user_task set completion_key = 'of somebody else' where state = 'completed'"
TWICE = """insert into case_event (kind, case_no, instance_id, task_id)
           select kind, case_no, instance_id, task_id from case_event where kind = 'task.completed'"""
STUCK = "update user_task set state = 'cancelled' where state = 'ready'"
WAITING = "insert into outbox (id, kind, key, payload) values (gen_random_uuid(), 'mail', 'k', '{}')"
FIRED = """insert into case_event (kind, instance_id, trace) select 'timer.fired', id, '[["Pause", "completed"]]'
           from instance, generate_series(1, 2)"""
NO_KEYS = "alter table appointment drop constraint ex_appointment_doctor, drop constraint ex_appointment_patient"
OVERLAP = """insert into appointment (ticketid, patientid, docid, priority_level, date_scheduled, time_scheduled,
                                      consult_hrs, during)
             select 'twice', patientid, docid, 1, date_scheduled, time_scheduled, consult_hrs, during
             from appointment where status = 'booked' limit 1"""
RELEASED = """insert into payment (paymentid, ticketid, patientid, charge, amount, discount, status)
              select gen_random_uuid()::text, ticketid, patientid, 5, 5, 0, true from appointment limit 1"""


PLANTED = (
    ((LOST_TASK,), "I4", "was acknowledged and is not completed"),
    ((OTHER_KEY,), "I4", "was completed by another than was told so"),
    ((TWICE,), "I4", "was completed twice"),
    ((TWICE,), "I8", "task.completed of .* has 2 rows"),
    ((STUCK,), "I5", "stands still without an incident"),
    ((WAITING,), "I6", "mail k is not sent"),
    ((FIRED,), "I7", "fired 2 times"),
    ((NO_KEYS, OVERLAP), "I2", "overlap"),
    ((RELEASED,), "I3", "is released and was not charged"),
)


async def test_a_loss_or_a_double_in_the_database_is_seen(clinic: str) -> None:
    seen = Seen(await worked(clinic))
    connection = await asyncpg.connect(clinic)
    try:
        for planted, number, said in PLANTED:
            transaction_of_one = connection.transaction()
            await transaction_of_one.start()
            for statement in planted:
                await connection.execute(statement)
            faults = await invariants.CHECKS[number](connection, seen)
            await transaction_of_one.rollback()
            assert re.search(said, "\n".join(faults)), (planted, faults)
    finally:
        await connection.close()


LOST = str(UUID(int=1))
ANSWER = {"path": "/x", "at": 100.0, "s": 0.1, "status": 200, "key": "k"}


VISIT = ANSWER | {"what": "visit", "task": LOST, "ticket": "T-9", "due": "2030-01-01T00:00:00Z", "id": LOST}
START = ANSWER | {"what": "start", "id": LOST}
TOLD = (
    ([VISIT], "I1", "T-9 was booked and is not there"),
    ([START], "I5", "was started and is not there"),
    ([START, START | {"id": str(UUID(int=2))}], "I5", "one start made 2 instances"),
    ([ANSWER | {"what": "complete", "task": LOST, "key": one} for one in "ab"], "I4", "2 people were told"),
    ([ANSWER | {"what": "bill", "status": one} for one in (200, 503, 409)], "I4", "granted and refused"),
    ([ANSWER | {"what": "show", "status": 503}], "I10", "without a reference"),
    ([ANSWER | {"what": "show", "s": 11.0}], "I10", "after 11.0 s"),
)


async def test_what_was_told_and_is_not_there_is_seen(clinic: str) -> None:
    for told, number, said in TOLD:
        broken = await invariants.broken(clinic, Seen(told))
        assert any(said in fault for fault in broken[number]), (said, broken)


async def test_the_seconds_of_a_freeze_are_no_hang_and_what_was_charged_for_nothing_is_seen(clinic: str) -> None:
    told = [ANSWER | {"what": "show", "s": 19.0}]
    assert await invariants.broken(clinic, Seen(told, windows=[(101.0, 111.0)])) == {}
    assert set(await invariants.broken(clinic, Seen(told, windows=[(111.0, 121.0)]))) == {"I10"}
    one = {"id": "c1", "kind": "charge", "reference": "p", "of": None}
    refund = {"id": "r1", "kind": "refund", "reference": "p", "of": "c1"}
    assert await invariants.broken(clinic, Seen([], [one, refund])) == {}
    twice = await invariants.broken(clinic, Seen([], [one, one | {"id": "c2"}]))
    assert "payment p was charged 2 times" in twice["I3"]
    assert "payment p was charged and is not released" in twice["I3"]


def test_a_run_holds_only_if_every_cell_and_every_invariant_does() -> None:
    well = Result("redis:kill", held=True, recovery=11.0, limit=10.0, steady=12.0)
    assert well.is_late
    assert Outcome(1, [well]).held
    assert not Outcome(1, [well, Result("web:kill", held=False, recovery=None, limit=5.0, steady=None)]).held
    assert not Outcome(1, [well], {"I1": ["T-9 was booked and is not there"]}).held


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--cells", "printer:kill"], "'printer:kill' is no cell; parts: web, relay"),
        (["--cells", "race:horses"], "'horses' is no race; there are slot, tasks"),
        (["--small", "--cells", "zeebe:kill"], "zeebe:kill is not there with --small"),
        (["--full", "--controls"], "exclude each other"),
        (["--without", "luck"], "'luck' is not one of 'exclusion'"),
        (["--journeys", "3", "--small"], "--journeys goes with --cells"),
        (["--journeys", "3", "--cells", "race:slot"], "--journeys goes with cells"),
    ],
)
def test_what_cannot_be_played_is_named(arguments: list[str], said: str) -> None:
    refused = CliRunner().invoke(chaos, arguments)
    assert refused.exit_code == 2
    assert said in refused.output


def test_every_guard_that_may_be_named_has_its_race() -> None:
    assert tuple(CONTROLS) == GUARDS
    assert {control.race for control in CONTROLS.values()} <= set(RACES)
    started = {guard for guard, control in CONTROLS.items() if getattr(control.away, "keywords", {}).get("guard")}
    assert started == set(unguarded.GUARDS)


@pytest.mark.parametrize(("arrived", "lost"), [((1, 1), False), ((1, 2), True), ((0, 0), False)])
async def test_the_race_of_relays_is_lost_by_a_mail_that_arrived_twice_and_by_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arrived: tuple[int, ...], lost: bool
) -> None:
    """It waited three minutes for mails of relays that hinder one another, and called their absence a lost race."""

    async def rows(_sql: str, *given: Any) -> None:
        for n, times in enumerate(arrived if given else ()):
            for turn in range(times):
                mail = f"Message-ID: <{n}@dams>\nSubject: {given[1]}{n}\n\nx"
                (tmp_path / "mail" / f"{n}-{turn}.eml").write_text(mail)

    async def sent(*_: Any) -> bool:
        return arrived == (1, 1)

    (tmp_path / "mail").mkdir()
    place = SimpleNamespace(state=SimpleNamespace(folder=tmp_path))
    ground: Any = SimpleNamespace(rows=rows, value=sent, place=place)
    monkeypatch.setattr(races, "PATIENCE", 0 if not any(arrived) else 1e6)
    if any(arrived):
        assert await races.relays(ground, 2) == (["<1@dams> arrived 2 times"] if lost else [])
    else:
        with pytest.raises(GivenUp, match="of 2 mails 0 have arrived"):
            await races.relays(ground, 2)


COMMAND = [sys.executable, "-m", "app.dev.chaos.altered"]
CLOCK = """
import sys, time
from datetime import UTC, date, datetime
from time import time_ns
import orjson
from grpc.aio import _utils
now = datetime.now(UTC)
read = [time.time(), time_ns() / 1e9, now.timestamp(), datetime.now().timestamp(),
        datetime.utcnow().replace(tzinfo=UTC).timestamp(), time.mktime(time.localtime()),
        time.mktime(time.strptime(time.strftime("%c"), "%c"))]
assert date.today() == now.astimezone().date() and isinstance(now, datetime)
elapsed, deadline = time.monotonic(), _utils._timeout_to_deadline(10)
sys.stdout.write(orjson.dumps({"read": read, "elapsed": elapsed, "now": now, "deadline": deadline}).decode())
"""


@pytest.mark.parametrize(
    ("circumstance", "seconds"), [("ahead", altered.AHEAD_SECONDS), ("behind", altered.BEHIND_SECONDS)]
)
def test_a_process_may_have_a_clock_that_is_wrong(tmp_path: Path, circumstance: str, seconds: float) -> None:
    (tmp_path / "clock_of_this_process.py").write_text(CLOCK)
    path = os.pathsep.join([str(ROOT), str(tmp_path)])
    began, elapsed = time.time(), time.monotonic()
    command = place.under([sys.executable, "-m", "clock_of_this_process"], circumstance)
    assert command[:3] == COMMAND
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, check=True)
    told, took = json.loads(done.stdout), time.time() - began
    assert all(-1 <= read - began - seconds <= took + 1 for read in told["read"])
    assert elapsed <= told["elapsed"] <= time.monotonic()
    assert 9 <= told["deadline"] - began <= took + 11


async def test_an_answer_that_is_lost_has_an_activity_done_a_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments.Telling, "intercept_activity", lambda _self, inner: inner)
    altered.answers_lost()
    done = []

    class Inner:
        async def execute_activity(self, _input: object) -> str:
            done.append(1)
            return "answer"

    one = moments.Telling().intercept_activity(Inner())  # type: ignore[arg-type]
    monkeypatch.setattr("temporalio.activity.info", lambda: SimpleNamespace(attempt=len(done)))
    with pytest.raises(ConnectionResetError):
        await one.execute_activity(SimpleNamespace())  # type: ignore[arg-type]
    assert await one.execute_activity(SimpleNamespace()) == "answer"  # type: ignore[arg-type]
    assert len(done) == 2


JOURNEY = "Process_JourneyDams01"
DOUBLE_CHARGE = [{"kind": "charge", "reference": "P-1", "id": one, "of": None} for one in "ab"]
STOPPED = """insert into incident (instance_id, n, element_id, code, message)
             select id, 1, 'Activity_Pay', 'job.failed', 'x' from instance"""
MADE = """insert into payment (paymentid, ticketid, patientid, charge, amount, discount, status)
          select 'P-' || n, 'S-1', patientid, 5, 5, 0, true from patient, generate_series(1, 2) n
          where patientid = (select min(patientid) from patient)"""


async def test_what_became_of_a_journey_is_known_by_the_database_and_the_provider(clinic: str) -> None:
    number = await value(clinic, "select id from login where username = 'staff'")
    async with transaction() as session:
        await deploy_shipped(session)
    async with transaction() as session:
        staff = Actor(number, "staff", "Staff", frozenset({"staff"}))
        view = await instances.start(session, staff, JOURNEY, {}, key="k0")
    patient = Patient("S-1", asked=True, case=view.case, instance=str(view.id))
    stands = await reckon(clinic, [patient], [])
    assert (stands.holds, stands.missing) == (False, [f"{view.case} is running without an incident: it was left"])
    await value(clinic, STOPPED)
    shown = await reckon(clinic, [patient], [])
    assert (shown.holds, shown.stopped) == (True, [f"{view.case}: job.failed at Activity_Pay"])
    patient.booked = True
    assert f"{view.case} was booked and has no appointment" in (await reckon(clinic, [patient], [])).missing
    patient.booked = False
    await value(clinic, MADE)
    twice = (await reckon(clinic, [patient], DOUBLE_CHARGE)).doubled
    assert twice == [f"{view.case} has 2 times {what}" for what in ("payment", "charge")]
    await value(clinic, "update instance set status = 'completed'")
    closed = await reckon(clinic, [patient], [])
    assert (closed.closed, closed.holds) == (1, False)
    assert f"{view.case} is closed without diagnosis" in closed.missing
    lost = await reckon(clinic, [Patient("S-2", asked=True, left="no answer")], [])
    assert (lost.missing, lost.doubled) == (
        ["S-2 is not there: no answer"],
        [f"case {view.case} was begun by nobody"],
    )


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.xdist_group("up")
def test_a_relay_that_is_killed_under_load_or_has_a_wrong_clock_loses_nothing(tmp_path: Path) -> None:
    """The command itself, on a service of its own. A busy machine may answer late, so that alone is let pass."""
    results = tmp_path / "results.json"
    options = ["--small", "--cells", "relay:kill,relay:clock", "--rate", "10", "--seed", "1", "--json", str(results)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DAMS_")}
    done = subprocess.run([ROOT / "dams", "chaos", *options], env=kept, capture_output=True, text=True, check=False)
    assert results.exists(), done.stderr
    found = json.loads(results.read_text())
    held = {one["cell"]: one["held"] for one in found["results"]}
    assert held == {"relay:kill": True, "relay:clock": True}, done.stderr
    assert set(found["broken"]) <= {"I10"}, found["broken"]
    assert found["answers"] > 10
    assert "2 of 2 cells held" in done.stdout
