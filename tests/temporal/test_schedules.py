"""Native schedules on Temporal Schedules: cron, presets and by hand; paused, run now, looked back on."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from app.core.errors import Conflict, Forbidden, Invalid, NotFound
from app.core.settings import settings
from app.db.session import reading, transaction
from app.engines import flows, relay, schedules
from app.engines.flows import Step
from tests.conftest import alone, running
from tests.temporal.conftest import caller, person, value, visitor
from tests.waiting import until

engine = pytest.mark.engine
FLOW = "report_login_count"
ZONE = ZoneInfo("America/New_York")


@engine
@pytest.mark.usefixtures("temporal")
async def test_cron_preset_and_by_hand_have_the_right_next_times() -> None:
    ops, before = await person("ops"), datetime.now(UTC)
    noon = await schedules.create(ops, "nightly", FLOW, "0 12 * * *")
    quarter = await schedules.create(ops, "quarter", FLOW, "*/15 * * * *")
    hourly = await schedules.create(ops, "hourly", FLOW, "@hourly")
    by_hand = await schedules.create(ops, "by-hand", FLOW, None)
    now = datetime.now(UTC)
    assert all((t.astimezone(ZONE).hour, t.minute) == (12, 0) for t in noon.next_times)
    assert before < noon.next_times[0] <= now + timedelta(hours=25)
    assert all(t.minute % 15 == 0 for t in quarter.next_times)
    assert before < quarter.next_times[0] <= now + timedelta(minutes=15, seconds=5)
    assert hourly.next_times[1] - hourly.next_times[0] == timedelta(hours=1)
    assert by_hand.next_times == ()

    async def all_listed() -> bool:
        return [one.id for one in await schedules.listing()] == ["by-hand", "hourly", "nightly", "quarter"]

    await until(all_listed)
    assert {one.cron for one in await schedules.listing()} == {"", "@hourly", "0 12 * * *", "*/15 * * * *"}


@engine
@pytest.mark.usefixtures("temporal")
@pytest.mark.parametrize(
    "cron", ["61 * * * *", "* * *", "whenever", "0 12 * * * *", "@never", "* * 31 2 *", "0 12 ; * *"]
)
async def test_a_wrong_cron_is_refused_on_its_field_and_nothing_is_planned(cron: str) -> None:
    with pytest.raises(Invalid) as caught:
        await schedules.create(await person("ops"), "wrong", FLOW, cron)
    assert list(caught.value.errors) == ["cron"]
    with pytest.raises(NotFound):
        await schedules.get("wrong")


@engine
@pytest.mark.usefixtures("temporal")
async def test_a_schedule_is_paused_resumed_and_deleted_by_ops_alone() -> None:
    ops, patient = await person("ops"), await person("patient")
    await schedules.create(ops, "nightly", FLOW, "@daily", "the report")
    with pytest.raises(Conflict):
        await schedules.create(ops, "nightly", FLOW, "@daily")
    await schedules.pause(ops, "nightly", "holidays")
    assert ((await schedules.get("nightly")).paused, (await schedules.get("nightly")).note) == (True, "holidays")
    await schedules.resume(ops, "nightly")
    assert not (await schedules.get("nightly")).paused
    for act in (schedules.pause, schedules.resume, schedules.run_now, schedules.delete):
        with pytest.raises(Forbidden):
            await act(patient, "nightly")
        with pytest.raises(NotFound):
            await act(ops, "nobody")
    await schedules.delete(ops, "nightly")
    with pytest.raises(NotFound):
        await schedules.get("nightly")
    with pytest.raises(Invalid) as caught:
        await schedules.create(ops, "Not a name!", "no-flow", "nonsense")
    assert set(caught.value.errors) == {"id", "flow", "cron"}


@engine
@pytest.mark.usefixtures("workers")
async def test_run_now_runs_the_flow_and_its_message_is_kept() -> None:
    ops = await person("ops")
    await schedules.create(ops, "by-hand", FLOW, None)
    await schedules.run_now(ops, "by-hand")
    done = "select 1 from engine_run where name = 'report_login_count' and status = 'completed'"
    await until(lambda: value(done))
    async with reading() as session:
        (run,) = await flows.history(session, FLOW)
        outcome = await flows.outcome(session, run.id)
    logins = await value("select count(*) from login")
    assert outcome.message.startswith(f"There are {logins} users as of ")

    async def remembered() -> bool:
        actions = (await schedules.get("by-hand")).actions
        return [f"{one.workflow_id}/{one.run_id}" for one in actions] == [run.external_id]

    await until(remembered)


@engine
@pytest.mark.usefixtures("workers")
async def test_a_triggered_flow_is_pending_then_says_its_message_and_each_time_is_another_run() -> None:
    admin = await person("admin")
    async with transaction() as session:
        first = await flows.trigger(session, FLOW, admin)
        second = await flows.trigger(session, FLOW, admin)
    async with reading() as session:
        assert (await flows.outcome(session, first)).status == "running"
        with pytest.raises(NotFound):
            await flows.outcome(session, UUID(int=1))
    await sent()
    for run_id in (first, second):
        await until(
            lambda run_id=run_id: value("select 1 from engine_run where id = :id and status = 'completed'", id=run_id)
        )
        async with reading() as session:
            assert "users as of" in (await flows.outcome(session, run_id)).message
    assert first != second
    assert await value("select count(*) from engine_run") == 2


@engine
@pytest.mark.usefixtures("workers")
async def test_the_report_is_triggered_followed_and_read_over_the_api() -> None:
    calls = await caller("ops")
    asked = await calls("POST", "/login/dag/report/login/count")
    assert asked.status_code == 202
    assert (await calls("GET", asked.headers["Location"])).status_code == 202
    await sent()

    async def told() -> bool:
        return (await calls("GET", asked.headers["Location"])).status_code == 200

    await until(told)
    logins = await value("select count(*) from login")
    message = (await calls("GET", asked.headers["Location"])).json["message"]
    assert message.startswith(f"There are {logins} users as of ")


@engine
@pytest.mark.usefixtures("workers")
async def test_a_schedule_lives_its_life_over_the_api() -> None:
    calls = await caller("ops")
    body = {"id": "nightly", "flow": FLOW, "cron": "0 12 * * *", "note": "the report"}
    made = await calls("POST", "/api/v1/schedules", body)
    assert (made.status_code, made.json["paused"], len(made.json["next_times"]) > 1) == (201, False, True)
    assert (await calls("POST", "/api/v1/schedules", body)).status_code == 409
    paused = await calls("POST", "/api/v1/schedules/nightly/pause", {"note": "holidays"})
    assert (paused.json["paused"], paused.json["note"]) == (True, "holidays")
    assert (await calls("POST", "/api/v1/schedules/nightly/resume")).json["paused"] is False
    assert (await calls("POST", "/api/v1/schedules/nightly/run")).status_code == 202
    await until(lambda: value("select 1 from engine_run where name = :name and status = 'completed'", name=FLOW))
    assert (await calls("DELETE", "/api/v1/schedules/nightly")).status_code == 200
    assert (await calls("GET", "/api/v1/schedules/nightly")).status_code == 404
    told = await value("select array_agg(kind order by id) from case_event where kind like 'schedule.%'")
    assert told == [f"schedule.{what}" for what in ("created", "paused", "resumed", "run", "deleted")]


@engine
@pytest.mark.usefixtures("temporal")
async def test_the_nightly_backup_is_planned_from_the_start_and_stays_deleted() -> None:
    for _ in range(2):
        await schedules.plan_shipped()
    made = await schedules.get("nightly-backup")
    moment = made.next_times[0].astimezone(ZONE)
    assert (made.flow, moment.hour, moment.minute, made.paused) == ("backup", 2, 30, False)
    assert await value("select count(*) from case_event where kind = 'schedule.created'") == 1
    await schedules.delete(await person("ops"), "nightly-backup")
    await schedules.plan_shipped()
    with pytest.raises(NotFound):
        await schedules.get("nightly-backup")


@engine
@pytest.mark.usefixtures("workers")
async def test_the_nightly_backup_has_celery_write_its_three_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("CELERY__BROKER_URL", "CELERY__RESULT_BACKEND"):
        monkeypatch.setenv(f"DAMS_{name}", alone("schedules"))
    monkeypatch.setenv("DAMS_FILES__FOLDER", str(tmp_path))
    settings.cache_clear()
    await schedules.plan_shipped()
    with running(["-m", "workers.celery_worker"], {}), running(["-m", "workers.relay"], {}):
        await schedules.run_now(await person("ops"), "nightly-backup")
        ended = "select status from engine_run where engine = 'temporal' and status in ('completed', 'failed')"
        await until(lambda: value(ended))
    assert await value("select result ->> 'message' from engine_run where engine = 'temporal'") != ""
    assert await value(ended) == "completed"
    assert await value("select count(*) from engine_run where engine = 'celery' and name = 'backup'") == 1
    lines = files(tmp_path)
    assert set(lines) == {"dams_admin.csv", "dams_doc.csv", "dams_patient.csv"}
    assert lines["dams_patient.csv"] == await value("select count(*) + 1 from patient")


def files(folder: Path) -> dict[str, int]:
    """The CSV files below *folder* and how many lines they have."""
    return {path.name: len(path.read_text().splitlines()) for path in folder.rglob("*.csv")}


@engine
@pytest.mark.usefixtures("workers")
async def test_the_page_plans_runs_pauses_and_deletes() -> None:
    ops = await visitor("ops")
    assert "Nothing is planned." in (await ops.get("/schedules")).text
    entered = {"id": "nightly", "flow": FLOW, "cron": "@daily", "note": "the report"}
    made = await ops.post("/schedules", **entered)
    assert (made.status_code, made.headers["Location"]) == (303, "/schedules?made=nightly")
    assert "nightly is planned." in (await ops.get(made.headers["Location"])).text
    assert (await ops.post("/schedules", **entered)).status_code == 409
    for act, shown in (("pause", "paused</span>"), ("resume", ">Pause</button>")):
        assert (await ops.post(f"/schedules/nightly/{act}")).status_code == 303
        assert shown in (await ops.get("/schedules?made=nightly")).text
    assert (await ops.post("/schedules/nightly/run")).status_code == 303

    async def told() -> bool:
        return "users as of" in (await ops.get("/schedules?made=nightly")).text

    await until(told)
    assert (await ops.post("/schedules/nightly/delete")).status_code == 303
    gone = await ops.post("/schedules/nightly/run")
    assert (gone.status_code, "There is no such schedule." in gone.text) == (404, True)


async def sent() -> None:
    """What the relay does: everything that is due."""
    await asyncio.gather(*(relay.deliver(effect) for effect in await relay.claim(50)))


@pytest.mark.parametrize(
    ("steps", "wrong"),
    [
        ((Step("a", "nothing"), Step("a", "nothing")), "a"),
        ((Step("a", "nothing"), Step("b", "rocket")), "b"),
        ((Step("a", "nothing", after=("b",)), Step("b", "nothing")), "a"),
        ((), "steps"),
    ],
)
def test_a_flow_with_a_step_that_cannot_be_is_refused(steps: tuple[Step, ...], wrong: str) -> None:
    with pytest.raises(Invalid) as caught:
        flows.Flow("x", "X", steps)
    assert list(caught.value.errors) == [wrong]
