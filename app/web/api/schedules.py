"""Native schedules: listing, planning, pausing, running now and deleting. Airflow's DAGs have their own calls."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from app.engines import schedules
from app.web.api import schemas
from app.web.api.contract import Group
from app.web.security import actor

group = Group("schedules")
blueprint = group.blueprint
KEEPERS = schedules.KEEPERS


class ScheduleRequest(schemas.Request):
    """`cron` empty: run by hand only."""

    id: str = Field(max_length=60)
    flow: str = Field(max_length=60)
    cron: str = Field("", max_length=100)
    note: str = Field("", max_length=200)


class Noted(schemas.Request):
    note: str = Field("", max_length=200)


class Action(BaseModel):
    due: datetime
    began: datetime
    workflow_id: str
    run_id: str


class Planned(BaseModel):
    id: str
    flow: str
    title: str
    cron: str
    time_zone: str
    paused: bool
    note: str
    next_times: list[datetime]
    actions: list[Action]


class All(BaseModel):
    items: list[Planned]


@group.operation("GET", "/schedules", roles=KEEPERS, answer=All)
async def listing(_given: object) -> Any:
    """Every schedule with its next times and newest runs"""
    return {"items": await schedules.listing()}


@group.operation(
    "POST", "/schedules", roles=KEEPERS, body=ScheduleRequest, answer=Planned, status=201, errors=(409, 413, 422)
)
async def create(given: ScheduleRequest) -> Any:
    """Plan a flow; times are on the clinic's clock"""
    return await schedules.create(actor(), given.id, given.flow, given.cron, given.note)


@group.operation("GET", "/schedules/<name>", roles=KEEPERS, answer=Planned, errors=(404,))
async def show(_given: object, name: str) -> Any:
    """One schedule"""
    return await schedules.get(name)


@group.operation("POST", "/schedules/<name>/pause", roles=KEEPERS, body=Noted, answer=Planned, errors=(404, 413, 422))
async def pause(given: Noted, name: str) -> Any:
    """It fires no more until it is resumed"""
    await schedules.pause(actor(), name, given.note)
    return await schedules.get(name)


@group.operation("POST", "/schedules/<name>/resume", roles=KEEPERS, answer=Planned, errors=(404,))
async def resume(_given: object, name: str) -> Any:
    """It fires again"""
    await schedules.resume(actor(), name)
    return await schedules.get(name)


@group.operation("POST", "/schedules/<name>/run", roles=KEEPERS, answer=Planned, status=202, errors=(404,))
async def run_now(_given: object, name: str) -> Any:
    """Run its flow now, beside what may be running"""
    await schedules.run_now(actor(), name)
    return await schedules.get(name)


@group.operation("DELETE", "/schedules/<name>", roles=KEEPERS, answer=Planned, errors=(404,))
async def delete(_given: object, name: str) -> Any:
    """Delete it; its runs stay"""
    found = await schedules.get(name)
    await schedules.delete(actor(), name)
    return found
