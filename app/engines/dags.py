"""Runs of Airflow's DAGs that DAMS asks for: through the outbox, followed until they end, tried again and called off.

run_id = await dags.trigger(session, "report_login_count", actor)   # in a transaction; a fresh run each time
run = await dags.follow(run_id)                                     # as Airflow has it now
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from app.clinic import audit
from app.core.actor import Actor
from app.core.errors import Conflict, DamsError, NotFound
from app.core.ids import uuid7
from app.core.log import log
from app.db.session import Session, reading, transaction
from app.engines import airflow, control, outbox, runs
from app.engines.airflow import ENGINE
from app.engines.runs import Run
from app.engines.senders import Effect, sender

KEEPERS = ("ops", "admin")


@dataclass(frozen=True, slots=True)
class Told:
    """Where a DAG of DAMS leaves what it has to say: *task* shares it under *key*."""

    task: str
    key: str


DAGS = {"report_login_count": Told("return_report", "report_msg")}
"""The DAGs in `workers/dags/`."""


async def ready(dag_id: str) -> None:
    """Whether a run would begin.

    Raises:
        Unavailable: Airflow does not answer.
        NotFound: it has not read the DAG.
        Conflict: the DAG is paused, so a run would wait for nobody knows how long.
    """
    if (await airflow.dag(dag_id)).paused:
        raise Conflict(f"The DAG {dag_id} is paused; resume it on the page Planned runs.")


async def trigger(session: Session, dag_id: str, actor: Actor) -> UUID:
    """Ask for a run when this transaction commits; its id, another one each time, is the run's id in Airflow too."""
    if dag_id not in DAGS:
        raise NotFound("There is no such DAG.")
    run_id = uuid7()
    name = str(run_id)
    await runs.request(session, ENGINE, dag_id, {}, run_id=run_id, external_id=name, started_by=actor.id)
    await outbox.enqueue(session, "dag-run", name, {"dag": dag_id, "run": name})
    return run_id


@sender("dag-run")
async def send_run(effect: Effect) -> None:
    dag_id, run_id = effect.payload["dag"], UUID(effect.payload["run"])
    if (await _get(run_id)).status == "cancelled":
        return
    await airflow.start(dag_id, str(run_id))
    async with transaction() as session:
        await runs.began(session, run_id)
    if (await _get(run_id)).status == "cancelled":  # meanwhile: whoever called it off found nothing to end
        await airflow.end(dag_id, str(run_id))


async def follow(run_id: UUID) -> Run:
    """A run with what Airflow says of it now. Raises :class:`NotFound` and, while it is open, :class:`Unavailable`."""
    run = await _get(run_id)
    if run.status == "running":
        await _catch_up(run)
        run = await _get(run_id)
    return run


async def _get(run_id: UUID) -> Run:
    async with reading() as session:
        run = await runs.get(session, run_id)
    if run is None or run.engine != ENGINE:
        raise NotFound("There is no such run.")
    return run


async def _catch_up(run: Run) -> bool:
    """Write down the end of a run; False while it has not ended."""
    name = str(run.id)
    try:
        state = (await airflow.run(run.name, name)).state
    except NotFound:
        async with transaction() as session:
            return await runs.failed(session, run.id, "lost", "Airflow knows no such run any more.")
    if state == "success":
        told = DAGS[run.name]
        try:
            message = await airflow.shared(run.name, name, told.task, told.key)
        except NotFound:  # somebody has marked it as a success in Airflow
            async with transaction() as session:
                return await runs.failed(session, run.id, "no-result", f"It ended without {told.key}.", told.task)
        async with transaction() as session:
            return await runs.completed(session, run.id, {"message": message})
    if state == "failed":
        broken = await airflow.failed_tasks(run.name, name)
        error = f"{', '.join(broken) or 'The run'} failed; its log is in Airflow."
        async with transaction() as session:
            return await runs.failed(session, run.id, "dag-failed", error, broken[0] if broken else "")
    return False


_OPEN = text("""
    update engine_run set seen_at = now() where id in (
        select id from engine_run where engine = 'airflow' and status = 'running'
        and coalesce(seen_at, requested_at) < now() - make_interval(secs => :quiet)
        order by coalesce(seen_at, requested_at) limit :limit for update skip locked)
    returning id
""")


async def reconcile(quiet: float = 3.0, limit: int = 20) -> int:
    """Look after open runs that nobody has looked at for *quiet* seconds; how many have ended. The relay calls it."""
    if not airflow.is_on():
        return 0
    async with transaction() as session:
        found = [row.id for row in await session.execute(_OPEN, {"quiet": quiet, "limit": limit})]
    return sum([await _looked_after(run_id) for run_id in found])


async def _looked_after(run_id: UUID) -> bool:
    try:
        return await _catch_up(await _get(run_id))
    except DamsError as error:  # Airflow is away or refuses; the next turn asks again
        log.warning("a DAG run could not be looked after", run=str(run_id), error=error.detail)
        return False


async def pause(actor: Actor, dag_id: str, paused: bool) -> None:
    """Pause or resume a DAG. Raises :class:`NotFound` and :class:`Unavailable`."""
    actor.require(*KEEPERS)
    if dag_id not in DAGS:
        raise NotFound("There is no such DAG.")
    await airflow.pause(dag_id, paused)
    async with transaction() as session:
        what = "schedule.paused" if paused else "schedule.resumed"
        await audit.record(session, what, actor_id=actor.id, data={"schedule": dag_id, "engine": ENGINE})


@control.retries(ENGINE)
async def ask_again(session: Session, run: Run, key: str) -> None:
    """Run the tasks that failed, and what waited for them, once more."""
    await outbox.enqueue(session, "dag-again", key, {"dag": run.name, "run": str(run.id)}, case=run.case_no)


@control.cancels(ENGINE)
async def call_off(session: Session, run: Run, key: str) -> None:
    await outbox.enqueue(session, "dag-end", key, {"dag": run.name, "run": str(run.id)}, case=run.case_no)


@sender("dag-again")
async def send_again(effect: Effect) -> None:
    try:
        await airflow.again(effect.payload["dag"], effect.payload["run"])
    except NotFound:  # it was lost there: begin anew
        await airflow.start(effect.payload["dag"], effect.payload["run"])
    async with transaction() as session:
        await runs.began(session, UUID(effect.payload["run"]))


@sender("dag-end")
async def send_end(effect: Effect) -> None:
    """What Airflow never got to know has nothing to end."""
    try:
        await airflow.end(effect.payload["dag"], effect.payload["run"])
    except NotFound:
        log.info("a run was called off before Airflow had it", run=effect.payload["run"])
