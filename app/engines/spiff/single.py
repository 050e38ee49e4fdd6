"""Steps of which all that happens is one statement, each committed by it: no transaction is begun or ended.

Most steps are like that. The instance is seen without a lock, and written only if nothing has happened to it since;
where something has, or where more must be written than one statement can, the step is taken again as
`app.engines.spiff.instances` takes it, in a transaction. Who calls these has no other work to commit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from app.core.actor import Actor
from app.core.ids import uuid7
from app.db import driver
from app.db.driver import Line, Statement
from app.db.session import transaction
from app.engines.spiff import choices, instances, lookup, models, saving, statements
from app.engines.spiff.models import StoredModel
from app.engines.spiff.records import InstanceView
from app.engines.spiff.saving import Change
from app.engines.spiff.values import entered

_ACTIVE = Statement(
    """select id, dams_now() as now, nextval('case_number') as number from model
       where process_id = :process_id and active""",
    {"process_id": "text"},
)


async def start(actor: Actor, process_id: str, variables: Mapping[str, Any]) -> InstanceView | None:
    """Start an instance of the active version; None, and nothing is written, if that takes more than a statement.

    Raises:
        Invalid: a variable's name that cannot be, or fields of its start form to be mended.
    """
    async with Line() as line:
        found = await driver.first(line, _ACTIVE, {"process_id": process_id})
        model = models.known(line.database, found.id) if found else None
        if found is None or model is None or model.engine != "spiff":
            return None
        given = instances.variables_of(model, actor, variables)
        outcome = await instances.begin(model, given, found.now)
        if not saving.follows_nothing(model, outcome):
            return None
        instance_id = uuid7()
        change = Change("instance.started", actor.id, entered(given), case_no=f"A-{found.number}")
        row = {"model_id": model.id, "business_key": None, "started_by": actor.id, "start_key": None}
        await saving.insert_alone(line, model, instance_id, outcome, change, found.now, row)
        ended_at = found.now if outcome.status == "completed" else None
        return instances.view_after(model, instance_id, outcome, change, None, found.now, ended_at)


async def complete(actor: Actor, task_id: UUID, values: Mapping[str, Any], *, key: str | None = None) -> InstanceView:
    """Complete a task as :func:`app.engines.spiff.instances.complete` does, and commit it."""
    instances.check_texts(key=key)
    async with Line() as line:
        view = await _complete(line, actor, task_id, values, key)
    if view is not None:
        return view
    async with transaction() as session:
        return await instances.complete(session, actor, task_id, values, key=key)


async def _complete(
    line: Line, actor: Actor, task_id: UUID, values: Mapping[str, Any], key: str | None
) -> InstanceView | None:
    row = await statements.load(line, statements.SEE_FOR_TASK, task_id)
    if row is None or not lookup.may_take(actor, row.candidates, row.assignee_id):
        return None
    model = models.known(line.database, row.model_id)
    if model is None or not _is_free(actor, row) or _needs_more(model, row):
        return None
    outcome, change = await instances.go_on(model, row, actor, task_id, values, {}, key)
    stays = not set(row.open_tasks).isdisjoint(task.id for task in outcome.open_tasks)
    if stays or not saving.follows_nothing(model, outcome):
        return None
    if not await saving.update_alone(line, model, row, outcome, change):
        return None
    ended_at = row.now if outcome.status == "completed" else None
    return instances.view_after(model, row.id, outcome, change, row.business_key, row.started_at, ended_at)


def _is_free(actor: Actor, row: Any) -> bool:
    return row.task_state == "ready" or (row.task_state == "claimed" and row.assignee_id in (None, actor.id))


def _needs_more(model: StoredModel, row: Any) -> bool:
    form = model.forms.get(row.element_id)
    return bool(row.waiting or row.troubled or model.effects or (form and choices.has_any(form)))
