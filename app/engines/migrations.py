"""Running instances of one version moved to another: tried first, then in batches while work goes on, to be looked up.

An instance that a batch cannot move stays as it is, on its version, with the reason kept. One that somebody is just
working on is taken by a later batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, text
from sqlalchemy.exc import IntegrityError

from app.clinic import audit
from app.core.actor import Actor
from app.core.errors import Conflict, Invalid, NotFound
from app.core.ids import uuid7
from app.core.log import log
from app.db.session import Session, transaction
from app.engines.spiff import messages, models, saving, statements, steps
from app.engines.spiff.limits import bounds
from app.engines.spiff.migration import NotMigrated, Obstacle
from app.engines.spiff.models import StoredModel
from app.engines.spiff.outcome import Outcome
from app.engines.spiff.saving import Change

BATCH = 50
"""Instances that one transaction moves: their steps wait for it."""
TRIED = 5
"""Instances of each group that a trial moves in memory."""
GROUPS = 40


@dataclass(frozen=True, slots=True)
class Group:
    """Running instances that stand on the same elements, and what a trial of some of them said."""

    elements: list[str]
    running: int
    tried: int
    refused: int
    obstacles: list[Obstacle]
    begins: list[str]
    """Elements that would begin to wait for something."""
    ends: list[str]
    """Elements that would wait no longer."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What a migration would do. Nothing was changed."""

    process_id: str
    from_version: int
    to_version: int
    elements: dict[str, str]
    running: int
    groups: list[Group]

    @property
    def refused(self) -> int:
        """How many of those that were tried would stay."""
        return sum(group.refused for group in self.groups)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An instance that stays on its version."""

    instance_id: UUID
    case: str
    element_id: str
    message: str
    fix: str


@dataclass(frozen=True, slots=True)
class Migration:
    """A migration as far as it has come. ``left`` counts the instances that no batch has come to yet."""

    id: UUID
    process_id: str
    from_version: int
    to_version: int
    elements: dict[str, str]
    reason: str
    state: str
    moved: int
    refused: int
    left: int
    started_by: str
    started_at: datetime
    ended_at: datetime | None
    refusals: list[Refusal] = field(default_factory=list[Refusal])


async def attempt(
    session: Session, process_id: str, from_version: int, to_version: int, elements: Mapping[str, str]
) -> Trial:
    """Try in memory what a migration would do to some instances of each place where they stand.

    Raises:
        NotFound: no such process or version.
        Invalid: an element that the versions do not have, or one version twice.
        Conflict: the model runs on another engine.
    """
    old, new = await _versions(session, process_id, from_version, to_version)
    mapping = _mapping(old, new, elements)
    rows = (await session.execute(_STANDING, {"model": old.id, "tried": TRIED, "groups": GROUPS})).all()
    groups = [await _try(session, old, new, mapping, row) for row in rows]
    running = int(await session.scalar(_RUNNING, {"model": old.id}) or 0)
    return Trial(process_id, from_version, to_version, mapping, running, groups)


async def begin(
    session: Session,
    actor: Actor,
    process_id: str,
    from_version: int,
    to_version: int,
    elements: Mapping[str, str],
    reason: str,
) -> UUID:
    """Let the relay move every running instance of a version, those it can; the id to look it up by.

    Raises:
        NotFound, Invalid, Conflict: as :func:`attempt`; no reason; another migration of the process is under way.
    """
    if not reason.strip() or len(reason) > 1000:
        raise Invalid({"reason": "Say in up to 1,000 characters why."})
    old, new = await _versions(session, process_id, from_version, to_version)
    mapping, own = _mapping(old, new, elements), uuid7()
    try:
        async with session.begin_nested():
            await session.execute(
                text("""insert into instance_migration (id, process_id, from_model, to_model, elements, reason,
                                                        login_id, state)
                        values (:id, :process_id, :old, :new, cast(:elements as jsonb), :reason, :login, 'running')"""),
                {
                    "id": own,
                    "process_id": process_id,
                    "old": old.id,
                    "new": new.id,
                    "elements": orjson.dumps(mapping).decode(),
                    "reason": reason.strip(),
                    "login": actor.id,
                },
            )
    except IntegrityError:
        raise Conflict(f"Another migration of {process_id} is under way; wait for its end or stop it.") from None
    data = {
        "migration": str(own),
        "process_id": process_id,
        "from": from_version,
        "to": to_version,
        "elements": mapping,
    }
    await audit.record(session, "migration.started", actor_id=actor.id, data=data | {"reason": reason.strip()})
    return own


async def stop(session: Session, actor: Actor, migration_id: UUID) -> None:
    """Leave what is not moved yet where it is. Raises :class:`NotFound`, :class:`Conflict` where it has ended."""
    state = await session.scalar(
        text("select state from instance_migration where id = :id for update"), {"id": migration_id}
    )
    if state is None:
        raise NotFound("No such migration.")
    if state != "running":
        raise Conflict("The migration has ended already.")
    await _end(session, migration_id, "stopped")
    await audit.record(session, "migration.stopped", actor_id=actor.id, data={"migration": str(migration_id)})


async def find(session: Session, migration_id: UUID, refusals: int = 200) -> Migration:
    """One migration with what it could not move. Raises :class:`NotFound`."""
    found = await _read(session, "m.id = :id", {"id": migration_id})
    if not found:
        raise NotFound("No such migration.")
    rows = await session.execute(
        text("""select r.instance_id, i.case_no as "case", r.element_id, r.message, r.fix
                from instance_migration_refusal r join instance i on i.id = r.instance_id
                where r.migration_id = :id order by r.instance_id limit :limit"""),
        {"id": migration_id, "limit": refusals},
    )
    found[0].refusals.extend(Refusal(**row) for row in rows.mappings())
    return found[0]


async def of_process(session: Session, process_id: str) -> list[Migration]:
    """The migrations of a process, newest first."""
    return await _read(session, "m.process_id = :process_id", {"process_id": process_id})


async def advance() -> int:
    """Move one batch of a migration that nobody else is at, and commit; how many instances were looked at."""
    async with transaction() as session:
        row = (await session.execute(_NEXT)).first()
        if row is None:
            return 0
        old, new = await models.by_id(session, row.from_model), await models.by_id(session, row.to_model)
        ids = list((await session.scalars(_BATCH, {"id": row.id, "model": old.id, "limit": BATCH})).all())
        mapping = _json(row.elements)
        moved = [await _take(session, row, old, new, mapping, instance_id) for instance_id in ids]
        await session.execute(_COUNT, {"id": row.id, "moved": sum(moved)})
        if not ids and not await session.scalar(_LEFT, {"id": row.id, "model": old.id}):
            await _end(session, row.id, "completed")
            data = {"migration": str(row.id), "process_id": new.process_id}
            await audit.record(session, "migration.completed", actor_id=row.login_id, data=data)
    return len(ids)


async def _take(
    session: Session, row: Row[Any], old: StoredModel, new: StoredModel, mapping: Mapping[str, str], instance_id: UUID
) -> bool:
    """Move one instance, or keep why it stays; whether it was moved."""
    held = await statements.load(session, statements.LOAD_SKIPPING, instance_id)
    if held is None or held.model_id != old.id or held.status not in ("running", "failed"):
        return False
    try:
        outcome = await asyncio.to_thread(_move, old, new, held, mapping)
    except Exception as error:  # noqa: BLE001 - one instance that cannot be read must not end the relay for all others
        first = error.obstacles[0] if isinstance(error, NotMigrated) else _unread(instance_id, error)
        await session.execute(
            text("""insert into instance_migration_refusal (migration_id, instance_id, element_id, message, fix)
                    values (:migration, :instance, :element, :message, :fix)"""),
            {
                "migration": row.id,
                "instance": instance_id,
                "element": first.element_id,
                "message": first.message,
                "fix": first.fix,
            },
        )
        return False
    data = {"migration": str(row.id), "from": old.version, "to": new.version, "reason": row.reason}
    await saving.update(session, new, held, outcome, Change("instance.migrated", row.login_id, data))
    await saving.rebase(session, new, instance_id, outcome)
    if outcome.waiting:
        await messages.take_kept(session, instance_id)
    return True


def _unread(instance_id: UUID, error: Exception) -> Obstacle:
    log.error("an instance could not be moved", instance=str(instance_id), error=type(error).__name__)
    return Obstacle("", f"it could not be moved: {type(error).__name__}", "look into the relay's log")


def _move(old: StoredModel, new: StoredModel, row: Any, mapping: Mapping[str, str]) -> Outcome:
    return steps.migrate(old.spec, new.spec, row.state, mapping, bounds=bounds(), now=row.now)


async def _try(
    session: Session, old: StoredModel, new: StoredModel, mapping: Mapping[str, str], row: Row[Any]
) -> Group:
    found = await session.execute(
        text("select id, state, waiting, dams_now() as now from instance where id = any(:ids)"), {"ids": row.ids}
    )
    obstacles: dict[Obstacle, None] = {}
    begins: dict[str, None] = {}
    ends: dict[str, None] = {}
    tried = refused = 0
    for instance in found.all():
        tried += 1
        try:
            outcome = await asyncio.to_thread(_move, old, new, instance, mapping)
        except NotMigrated as error:
            refused += 1
            obstacles |= dict.fromkeys(error.obstacles)
            continue
        before = [mapping.get(item["element_id"], item["element_id"]) for item in _json(instance.waiting)]
        after = [item.element_id for item in outcome.waiting]
        begins |= dict.fromkeys(one for one in after if one not in before)
        ends |= dict.fromkeys(one for one in before if one not in after)
    return Group(list(row.elements), row.running, tried, refused, list(obstacles), list(begins), list(ends))


async def _versions(
    session: Session, process_id: str, from_version: int, to_version: int
) -> tuple[StoredModel, StoredModel]:
    if from_version == to_version:
        raise Invalid({"to_version": "Choose another version than the one they are on."})
    old, new = [await models.find(session, process_id, version) for version in (from_version, to_version)]
    if old.engine != "spiff" or new.engine != "spiff":
        raise Conflict("Instances that Zeebe runs are not moved from here; cancel them and start new ones.")
    return old, new


def _mapping(old: StoredModel, new: StoredModel, elements: Mapping[str, str]) -> dict[str, str]:
    """Only what differs. Raises :class:`Invalid` for ids that the versions do not have."""
    faults: dict[str, str] = {}
    for own, other in elements.items():
        for model, element in ((old, own), (new, other)):
            if element not in model.elements:
                faults[f"elements.{own}"] = f"Version {model.version} has no element {element}."
    if faults:
        raise Invalid(faults)
    return {own: other for own, other in elements.items() if own != other}


async def _end(session: Session, migration_id: UUID, state: str) -> None:
    await session.execute(
        text("update instance_migration set state = :state, ended_at = now() where id = :id"),
        {"id": migration_id, "state": state},
    )


async def _read(session: Session, where: str, parameters: Mapping[str, Any]) -> list[Migration]:
    rows = await session.execute(
        text(f"""
            select m.id, m.process_id, o.version as from_version, n.version as to_version, m.elements, m.reason,
                   m.state, m.moved, coalesce(l.display_name, '') as started_by, m.created_at as started_at, m.ended_at,
                   (select count(*) from instance_migration_refusal r where r.migration_id = m.id) as refused,
                   case when m.state = 'running' then (
                       select count(*) from instance i where {_OPEN.format(model="m.from_model", id="m.id")}
                   ) else 0 end as left
            from instance_migration m join model o on o.id = m.from_model join model n on n.id = m.to_model
                 left join login l on l.id = m.login_id
            where {where} order by m.created_at desc"""),  # noqa: S608 - constants only
        dict(parameters),
    )
    return [Migration(**{**row, "elements": _json(row["elements"])}) for row in rows.mappings()]


def _json(value: Any) -> Any:
    return orjson.loads(value) if isinstance(value, (str, bytes)) else value


# Who began after the migration did was started on that version on purpose.
_OPEN = """i.model_id = {model} and i.status in ('running', 'failed') and i.ended_at is null
    and i.started_at <= (select created_at from instance_migration where id = {id})
    and not exists (select from instance_migration_refusal f where f.migration_id = {id} and f.instance_id = i.id)"""
_NEXT = text("""select id, from_model, to_model, elements, reason, login_id from instance_migration
                where state = 'running' order by created_at limit 1 for update skip locked""")
_BATCH = text(f"""select i.id from instance i where {_OPEN.format(model=":model", id=":id")}
                  order by i.id limit :limit for update skip locked""")  # noqa: S608 - constants only
_COUNT = text("update instance_migration set moved = moved + :moved where id = :id")
_LEFT = text(f"select count(*) from instance i where {_OPEN.format(model=':model', id=':id')}")  # noqa: S608 - constants only
_RUNNING = text("""select count(*) from instance
                   where model_id = :model and status in ('running', 'failed') and ended_at is null""")
_STANDING = text("""
    with here as (
        select i.id, array(
            select t.element_id from user_task t where t.instance_id = i.id and t.state in ('ready', 'claimed')
            union select w ->> 'element_id' from jsonb_array_elements(i.waiting) w
            union select n.element_id from incident n where n.instance_id = i.id and n.resolved_at is null
            order by 1) as elements
        from instance i where i.model_id = :model and i.status in ('running', 'failed') and i.ended_at is null)
    select elements, count(*) as running, (array_agg(id order by id))[1:cast(:tried as int)] as ids
    from here group by elements order by count(*) desc, elements limit :groups
""")
