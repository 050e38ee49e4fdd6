"""Flows that DAMS runs itself, asked for or by a schedule: `report_login_count` is one. They need no Airflow.

    run_id = await flows.trigger(session, "report_login_count", actor)   # in a transaction; a fresh run each time
    outcome = await flows.outcome(session, run_id)                       # .status, .message; NotFound for no such run
    past = await flows.history(session, "report_login_count")            # newest first

A flow is one entry of :data:`FLOWS`. Its steps are of the kinds in `temporal/activities/steps.py`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

from app.core.actor import Actor
from app.core.errors import Invalid, NotFound
from app.db.session import Session
from app.engines import runs, workflows
from app.engines.runs import Run

WORKFLOW, QUEUE = "FlowWorkflow", "dams_flow_queue"
KINDS = ("nothing", "http", "logins", "count", "message", "pipeline", "python", "sql", "mail", "shell")


@dataclass(frozen=True, slots=True)
class Step:
    """As `temporal.workflows.flow.Step`."""

    id: str
    kind: str
    given: dict[str, Any] = field(default_factory=dict[str, Any])
    shares: str = ""
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow with the title that people see."""

    id: str
    title: str
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        check(self.steps)

    @property
    def given(self) -> dict[str, Any]:
        """What the workflow gets."""
        return {"flow": self.id, "steps": [asdict(step) for step in self.steps]}


@dataclass(frozen=True, slots=True)
class Outcome:
    """`running`, `completed`, `failed` or `cancelled`, with the message of a completed run, the reason of a failed."""

    run: Run
    status: str
    message: str


def check(steps: tuple[Step, ...]) -> None:
    """Raise :class:`Invalid`, naming the step, for an id that comes twice or a step that waits for none of the flow."""
    known: set[str] = set()
    errors: dict[str, str] = {}
    for step in steps:
        if step.id in known:
            errors[step.id] = "This id comes twice."
        elif step.kind not in KINDS:
            errors[step.id] = f"There is no kind of step {step.kind!r}."
        elif missing := set(step.after) - known:
            errors[step.id] = f"It waits for {', '.join(sorted(missing))}, which does not come before it."
        known.add(step.id)
    if errors or not steps:
        raise Invalid(errors or {"steps": "A flow needs a step."})


FLOWS = {
    flow.id: flow
    for flow in (
        Flow(
            "report_login_count",
            "How many accounts there are",
            (
                Step("list_all_login", "logins"),
                Step("count_login", "count", {"of": "list_all_login"}, "records", ("list_all_login",)),
                Step(
                    "report_count",
                    "message",
                    {"text": "There are {records} users as of {now}."},
                    "report_msg",
                    ("count_login",),
                ),
                Step("return_report", "nothing", after=("report_count",)),
            ),
        ),
        Flow(
            "backup",
            "Backup of the profiles",
            (
                Step("write_files", "pipeline", {"name": "backup"}),
                Step(
                    "say",
                    "message",
                    {"text": "The profiles were saved at {now}."},
                    "report_msg",
                    ("write_files",),
                ),
            ),
        ),
    )
}


def flow(flow_id: str) -> Flow:
    """Raises :class:`NotFound`."""
    if flow_id not in FLOWS:
        raise NotFound("There is no such flow.")
    return FLOWS[flow_id]


async def trigger(session: Session, flow_id: str, actor: Actor | None = None) -> UUID:
    """Ask for a run when this transaction commits; its id, another one each time. Raises :class:`NotFound`."""
    given = flow(flow_id).given
    by = actor.id if actor else None
    return await workflows.ask(session, WORKFLOW, QUEUE, given, name=flow_id, started_by=by)


async def outcome(session: Session, run_id: UUID) -> Outcome:
    """How a run of a flow went. Raises :class:`NotFound`."""
    run = await runs.get(session, run_id)
    if run is None or run.engine != "temporal" or run.name not in FLOWS:
        raise NotFound("There is no such run.")
    status = "running" if run.status in ("requested", "running") else run.status
    said = run.result or {}
    return Outcome(run, status, str(said.get("message", "")) if status == "completed" else run.error or "")


async def history(session: Session, flow_id: str, limit: int = 20) -> list[Run]:
    """The runs of a flow, by hand and by schedule, newest first."""
    return await runs.newest(session, "temporal", flow(flow_id).id, limit)
