"""The tasks of `bpmn/zeebe/run.bpmn`, through which every run goes: it begins once, and DAMS learns how it ended."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from app.db.session import Session
from app.engines import runs
from app.engines.zeebe import jobs
from app.engines.zeebe.variables import OWN
from workers.jobs import CalledOff, Job, job


class Nothing(BaseModel):
    """No variable."""


class Everything(BaseModel):
    """All variables, whatever they are."""

    model_config = ConfigDict(extra="allow")


@job("dams.run.begin", Nothing, Nothing, timeout=10, at_once=32)
async def begin(session: Session, _given: Nothing, job: Job) -> Nothing:
    """The first instance of a run is the run. Any other, made by a start whose answer was lost, is called off."""
    if job.run_id is None or await jobs.begin(session, job.run_id, job.instance_key):
        return Nothing()
    run = await runs.get(session, job.run_id)
    if run is None or run.status != "running" or run.external_id != str(job.instance_key):
        raise CalledOff(job.instance_key)
    return Nothing()


@job("dams.run.end", Everything, Nothing, timeout=10, at_once=32)
async def end(session: Session, _given: Everything, job: Job) -> Nothing:
    """The run has ended well; its variables are kept as the broker had them, sealed."""
    if job.run_id is not None:
        kept = {name: value for name, value in job.variables.items() if name not in OWN}
        await runs.completed(session, job.run_id, kept)
    return Nothing()


@job("dams.run.error", Nothing, Nothing, timeout=10, at_once=32)
async def error(session: Session, _given: Nothing, job: Job) -> Nothing:
    """A BPMN error went through the whole process and nothing caught it."""
    if job.run_id is not None:
        found = await jobs.last_error(session, job.run_id)
        await runs.failed(
            session,
            job.run_id,
            "bpmn-error",
            f"An error that the model does not catch: {found or 'an error end event'}",
        )
    return Nothing()
