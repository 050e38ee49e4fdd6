"""Deployed models: versions in the database, loaded specifications in this process.

A stored version never changes, so it is loaded once per process and kept.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, RowMapping, text

from app.clinic import audit
from app.core.actor import Actor
from app.core.errors import Conflict, ModelRefused, NotFound
from app.core.ids import uuid7
from app.db import driver
from app.db.driver import Line, Statement
from app.db.session import Session, reading
from app.engines import connections
from app.engines.spiff import specs, starts
from app.engines.spiff.coded import compiling
from app.engines.spiff.elements import Element, UserTaskInfo
from app.engines.spiff.forms import Form
from app.engines.spiff.pace import Pace
from app.engines.spiff.records import DeployedModel, ModelRow, Receipt
from app.engines.spiff.specs import BundleFile, CheckReport, CompiledModel, LoadedSpec

CACHED = 200
_ACTIVE = Statement("select id from model where process_id = :process_id and active", {"process_id": "text"})
_VERSION = Statement(
    "select id from model where process_id = :process_id and version = :version",
    {"process_id": "text", "version": "int"},
)


class StoredModel:
    """One version of a process. `spec` is loaded on first use and shared by all its instances."""

    def __init__(self, row: Row[Any]) -> None:
        self.id: int = row.id
        self.process_id: str = row.process_id
        self.name: str = row.name
        self.version: int = row.version
        self.engine: str = row.engine
        self.file: str = row.file
        self.xml: bytes = row.xml
        self.sha256: str = row.sha256
        self.active: bool = row.active
        self.problems: list[dict[str, Any]] = _json(row.problems)
        self.elements: dict[str, Element] = {e["id"]: Element(**e) for e in _json(row.elements)}
        self.forms: dict[str, Form] = {key: Form.from_list(form) for key, form in _json(row.forms).items()}
        self.tasks: dict[str, UserTaskInfo] = {key: UserTaskInfo(**info) for key, info in _json(row.tasks).items()}
        self.effects: dict[str, str] = {e.id: e.effect for e in self.elements.values() if e.effect}
        """What DAMS does when a task is completed, by the task's id."""
        starts = [e for e in self.elements.values() if e.type == "startEvent"]
        self.start_form: Form | None = next((self.forms[e.id] for e in starts if e.id in self.forms), None)
        self.initiator: str = next((e.initiator for e in starts if e.initiator), "")
        """The variable that gets the name of who starts an instance, "" for none."""
        self.paces: defaultdict[str, Pace] = defaultdict(Pace)
        """By the element that a step begins with, "" for the start."""
        self.diagram: bytes = compiling.drawn(self.file, self.xml)
        """BPMN with places: the file itself, or what is drawn for a coded process."""
        self._bytes: bytes = row.spec
        self._loading = threading.Lock()
        self._spec: LoadedSpec | None = None

    @property
    def spec(self) -> LoadedSpec:
        """Loads in the calling thread; call it from one that may block."""
        with self._loading:
            if self._spec is None:
                self._spec = specs.load_spec(self._bytes)
            return self._spec

    def compiled(self) -> CompiledModel:
        """The version as the checks left it, before it was stored."""
        return CompiledModel(
            process_id=self.process_id,
            name=self.name,
            engine="zeebe" if self.engine == "zeebe" else "spiff",
            file=self.file,
            xml=self.xml,
            sha256=self.sha256,
            elements=self.elements,
            forms=self.forms,
            tasks=self.tasks,
            spec=self._bytes,
        )

    def element_name(self, element_id: str) -> str:
        """The label people see; the id where the modeler gave none."""
        element = self.elements.get(element_id)
        return (element.name if element else "") or element_id


_cache: OrderedDict[tuple[str, int], StoredModel] = OrderedDict()


def forget() -> None:
    """Empty the cache. For a process that changes its database, as a test run does."""
    _cache.clear()


async def check(files: Sequence[BundleFile]) -> CheckReport:
    """Read and check the files as one bundle, in a thread; nothing is stored."""
    async with reading() as session:
        known = await connections.known(session)
    with connections.using(known):
        return await asyncio.to_thread(specs.check_bundle, files)


async def deploy(
    session: Session, actor: Actor | None, report: CheckReport, *, activate: bool = True, note: str = ""
) -> Receipt:
    """Store each model of *report* as a new version, or say that it is the one already there.

    Raises:
        ModelRefused: the report holds an error; nothing is stored.
    """
    if any(problem.severity == "error" for problem in report.problems):
        raise ModelRefused(report.problems)
    deployment = uuid7()
    await session.execute(
        text("insert into deployment (id, login_id, note) values (:id, :login, :note)"),
        {"id": deployment, "login": actor.id if actor else None, "note": note},
    )
    done = [await _store(session, deployment, model, report, activate=activate) for model in report.models]
    data = {"deployment": str(deployment), "models": [f"{m.process_id} v{m.version}" for m in done], "note": note}
    await audit.record(session, "model.deployed", actor_id=actor.id if actor else None, data=data)
    return Receipt(deployment, done)


async def _store(
    session: Session, deployment: UUID, model: CompiledModel, report: CheckReport, *, activate: bool
) -> DeployedModel:
    await _one_at_a_time(session, model.process_id)
    latest = (
        await session.execute(
            text("""select id, version, sha256, spec, active from model where process_id = :process_id
                    order by version desc limit 1"""),
            {"process_id": model.process_id},
        )
    ).first()
    alone = len(report.models) == 1
    alone = alone and b"businessRuleTask" not in model.xml  # whose decision stands in another file
    changed = latest is None or latest.sha256 != model.sha256 or not (alone or latest.spec == model.spec)
    version = 1 if latest is None else latest.version + changed
    if activate:
        await session.execute(
            text("update model set active = false where process_id = :process_id and active and version <> :version"),
            {"process_id": model.process_id, "version": version},
        )
    own = 0 if latest is None else latest.id
    if changed:
        own = await _insert(session, deployment, model, report, version, activate=activate)
    elif activate and latest is not None and not latest.active:
        await session.execute(text("update model set active = true, retired_at = null where id = :id"), {"id": own})
    if activate and model.engine == "spiff" and (changed or (latest is not None and not latest.active)):
        spec = await asyncio.to_thread(specs.load_spec, model.spec)
        await starts.replace(session, model.process_id, own, spec)
    return DeployedModel(model.process_id, model.name, version, model.engine, model.sha256, changed)


async def retire(session: Session, actor: Actor, process_id: str) -> int:
    """Let nobody start the process any more; what runs goes on. The version that was active.

    Raises:
        NotFound: no version of it is active.
    """
    await _one_at_a_time(session, process_id)
    own = await active_id(session, process_id)
    version = await session.scalar(
        text("update model set active = false, retired_at = now() where id = :id returning version"), {"id": own}
    )
    await starts.remove(session, process_id)
    await audit.record(session, "model.retired", actor_id=actor.id, data={"model": f"{process_id} v{version}"})
    return int(version or 0)


async def activate(session: Session, actor: Actor, process_id: str, version: int) -> None:
    """Start new instances on that version from now on; what runs stays on its own.

    Raises:
        NotFound: no such version.
        Conflict: it is active already, or Zeebe decides which version it starts.
    """
    await _one_at_a_time(session, process_id)
    model = await find(session, process_id, version)
    if model.engine != "spiff":
        raise Conflict("Zeebe starts the newest version of a process; deploy the older file again.")
    active = await session.scalar(text("select active from model where id = :id"), {"id": model.id})
    if active:
        raise Conflict(f"Version {version} of {process_id} is active already.")
    await session.execute(
        text("update model set active = false where process_id = :process_id and active"), {"process_id": process_id}
    )
    await session.execute(text("update model set active = true, retired_at = null where id = :id"), {"id": model.id})
    await starts.replace(session, process_id, model.id, await asyncio.to_thread(lambda: model.spec))
    await audit.record(session, "model.activated", actor_id=actor.id, data={"model": f"{process_id} v{version}"})


async def _one_at_a_time(session: Session, process_id: str) -> None:
    """Two deployments of one process must not both take the next version."""
    await session.execute(
        text("select pg_advisory_xact_lock(hashtextextended(:process_id, 0))"), {"process_id": process_id}
    )


async def _insert(
    session: Session,
    deployment: UUID,
    model: CompiledModel,
    report: CheckReport,
    version: int,
    *,
    activate: bool,
) -> int:
    problems = [problem.as_dict() for problem in report.problems if problem.file == model.file]
    found = await session.scalar(
        text("""insert into model (deployment_id, process_id, version, name, engine, file, xml, sha256, spec,
                                   elements, forms, tasks, problems, active)
                values (:deployment, :process_id, :version, :name, :engine, :file, :xml, :sha256, :spec,
                        cast(:elements as jsonb), cast(:forms as jsonb), cast(:tasks as jsonb),
                        cast(:problems as jsonb), :active) returning id"""),
        {
            "deployment": deployment,
            "process_id": model.process_id,
            "version": version,
            "name": model.name,
            "engine": model.engine,
            "file": model.file,
            "xml": model.xml,
            "sha256": model.sha256,
            "spec": model.spec,
            "elements": _dumps(list(model.elements.values())),
            "forms": _dumps({key: form.as_list() for key, form in model.forms.items()}),
            "tasks": _dumps(model.tasks),
            "problems": _dumps(problems),
            "active": activate,
        },
    )
    return int(found or 0)


async def active_id(session: Session | Line, process_id: str, version: int | None = None) -> int:
    """The id of the active (or the named) version.

    Raises:
        NotFound: no such process, or no such version of it.
    """
    statement = _ACTIVE if version is None else _VERSION
    found = await driver.first(session, statement, {"process_id": process_id, "version": version})
    if found is None:
        raise NotFound(f"No model {process_id!r}" + (f" in version {version}." if version else " is active."))
    return found.id


async def find(session: Session, process_id: str, version: int | None = None) -> StoredModel:
    """The active version of a process, or the named one. Raises :class:`NotFound`."""
    return await by_id(session, await active_id(session, process_id, version))


def known(database: str, model_id: int) -> StoredModel | None:
    """A version that this process has loaded, or None."""
    return _cache.get((database, model_id))  # tests see several databases in one process


async def by_id(session: Session, model_id: int) -> StoredModel:
    """A stored version, from this process's memory where it was loaded before. Raises :class:`NotFound`."""
    key = (session.engine.url.database or "", model_id)
    model = known(*key)
    if model is None:
        row = (await session.execute(text("select * from model where id = :id"), {"id": model_id})).first()
        if row is None:
            raise NotFound("No such model.")
        model = _cache[key] = StoredModel(row)
        while len(_cache) > CACHED:
            _cache.popitem(last=False)
    return model


_ROWS = """
    select m.process_id, m.name, m.version, m.engine, m.active, m.file, m.sha256, m.problems, d.note,
           m.retired_at is not null as retired,
           m.created_at as deployed_at, coalesce(l.display_name, '') as deployed_by,
           case m.engine when 'spiff' then
             (select count(*) from instance i where i.model_id = m.id and i.status = 'running')
           else
             (select count(*) from engine_run r where r.engine = m.engine and r.name = m.process_id
              and r.status in ('requested', 'running') and (r.input->>'version')::int = m.version)
           end as running
    from model m join deployment d on d.id = m.deployment_id left join login l on l.id = d.login_id
"""


async def listing(session: Session) -> list[ModelRow]:
    """One row per process: its active version, or the newest where none is active; by name."""
    sql = f"""select * from ({_ROWS} where m.id = (
                select id from model n where n.process_id = m.process_id order by active desc, version desc limit 1)
              ) rows order by lower(name), process_id"""  # noqa: S608 - constants only
    return [_row(row) for row in (await session.execute(text(sql))).mappings()]


async def versions(session: Session, process_id: str) -> list[ModelRow]:
    """Every version of a process, newest first. Raises :class:`NotFound` where there is none."""
    sql = f"{_ROWS} where m.process_id = :process_id order by m.version desc"
    found = await session.execute(text(sql), {"process_id": process_id})
    rows = [_row(row) for row in found.mappings()]
    if not rows:
        raise NotFound(f"No model {process_id!r}.")
    return rows


def _row(row: RowMapping) -> ModelRow:
    return ModelRow(**{**row, "problems": _json(row["problems"])})


def _dumps(value: object) -> str:
    return orjson.dumps(value).decode()


def _json(value: Any) -> Any:
    return orjson.loads(value) if isinstance(value, (str, bytes)) else value
