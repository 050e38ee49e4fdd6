"""People's tasks; messages and signals."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from app.db.session import reading, transaction
from app.engines.spiff import lookup, messages, single, timeline, worklist
from app.engines.spiff.records import InstanceView
from app.web.api import schemas
from app.web.api.contract import Group, idempotency_key
from app.web.security import actor

group = Group("tasks")
blueprint = group.blueprint


class TaskAssignment(schemas.Request):
    assignee: str = Field(min_length=1, max_length=20)


class NewComment(schemas.Request):
    comment: str = Field(min_length=1, max_length=2000)


class TaskComment(BaseModel):
    """A comment. `by` is the shown name of who wrote it"""

    task: UUID
    at: datetime
    by: str
    comment: str


class TaskComments(BaseModel):
    comments: list[TaskComment]


@group.operation("GET", "/tasks", query=schemas.TaskQuery, answer=schemas.TaskPage, errors=(422,))
async def listing(given: schemas.TaskQuery) -> Any:
    """The open tasks you may see, soonest due first; `state` and `name` choose others"""
    async with reading() as session:
        return await worklist.tasks(session, actor(), **given.model_dump())


@group.operation("GET", "/tasks/<uuid:task_id>", answer=schemas.Task, errors=(404,))
async def show(_given: object, task_id: UUID) -> Any:
    """One task with its form"""
    async with reading() as session:
        task = await worklist.task(session, actor(), task_id)
    row = task.row
    shared = ("id", "element_id", "name", "type", "state", "assignee", "candidate_roles", "due_at", "priority", "case")
    return {name: getattr(row, name) for name in shared} | {
        "instance": row.instance_id,
        "form": {"fields": task.form},
        "values": task.form_data,
        "draft": task.draft,
    }


@group.operation("POST", "/tasks/<uuid:task_id>/claim", answer=schemas.Instance, errors=(404, 409))
async def claim(_given: object, task_id: UUID) -> InstanceView:
    """Take a task"""
    async with transaction() as session:
        await worklist.claim(session, actor(), task_id)
        return await lookup.of_task(session, actor(), task_id)


@group.operation("POST", "/tasks/<uuid:task_id>/release", answer=schemas.Instance, errors=(404, 409))
async def release(_given: object, task_id: UUID) -> InstanceView:
    """Give a task back to its group"""
    async with transaction() as session:
        await worklist.release(session, actor(), task_id)
        return await lookup.of_task(session, actor(), task_id)


@group.operation(
    "POST", "/tasks/<uuid:task_id>/assign", body=TaskAssignment, answer=schemas.Instance, errors=(404, 409, 422)
)
async def assign(given: TaskAssignment, task_id: UUID) -> InstanceView:
    """Give a task to a colleague who may do it"""
    async with transaction() as session:
        view = await lookup.of_task(session, actor(), task_id)
        await worklist.reassign(session, actor(), task_id, given.assignee)
        return await lookup.view(session, None, view.id)


@group.operation("GET", "/tasks/<uuid:task_id>/comments", answer=TaskComments, errors=(404,))
async def comments(_given: object, task_id: UUID) -> Any:
    """What was said about a task's case, oldest first"""
    async with reading() as session:
        task = await worklist.task(session, actor(), task_id)
        return {"comments": await timeline.comments(session, task.row.case)}


@group.operation(
    "POST",
    "/tasks/<uuid:task_id>/comments",
    body=NewComment,
    answer=TaskComments,
    status=201,
    errors=(404, 422),
)
async def comment(given: NewComment, task_id: UUID) -> Any:
    """Write a comment that everybody who sees the case reads"""
    async with transaction() as session:
        await worklist.comment(session, actor(), task_id, given.comment)
        task = await worklist.task(session, actor(), task_id)
        return {"comments": await timeline.comments(session, task.row.case)}


@group.operation(
    "POST",
    "/tasks/<uuid:task_id>/draft",
    body=schemas.Values,
    answer=schemas.Instance,
    errors=(404, 409, 413, 422),
)
async def draft(given: schemas.Values, task_id: UUID) -> InstanceView:
    """Keep half-done entries apart from the instance's data"""
    async with transaction() as session:
        await worklist.save_draft(session, actor(), task_id, given.variables)
        return await lookup.of_task(session, actor(), task_id)


@group.operation(
    "POST",
    "/tasks/<uuid:task_id>/complete",
    body=schemas.Values,
    answer=schemas.Instance,
    errors=(404, 409, 413, 422),
    headers=("Idempotency-Key",),
)
async def complete(given: schemas.Values, task_id: UUID) -> InstanceView:
    """Complete a task and run on to the next wait"""
    return await single.complete(actor(), task_id, given.variables, key=idempotency_key())


@group.operation(
    "POST",
    "/messages",
    roles=messages.SENDERS,
    body=schemas.Message,
    answer=schemas.Delivery,
    status=202,
    errors=(409, 413, 422),
)
async def publish(given: schemas.Message) -> Any:
    """Send a message to the instance that waits for it, or keep it for its time to live"""
    async with transaction() as session:
        return await messages.publish(session, actor(), given.name, given.correlation, given.variables, given.ttl)


@group.operation(
    "POST",
    "/signals",
    roles=messages.SENDERS,
    body=schemas.Signal,
    answer=schemas.Delivery,
    status=202,
    errors=(409, 413, 422),
)
async def broadcast(given: schemas.Signal) -> Any:
    """Send a signal to every instance that waits for it"""
    async with transaction() as session:
        return await messages.broadcast(session, actor(), given.name, given.variables)
