"""What a model may name, as somebody who draws is offered it: each name with one line that says what it is."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

from sqlalchemy import text

from app.clinic import lookups
from app.db.session import Session
from app.engines import catalogue, drafts
from app.engines.spiff import elements, scripts
from app.engines.zeebe import models as zeebe

INTERNAL = ("juel_", "feel_")
"""What translated expressions call; nobody writes these."""


@dataclass(frozen=True, slots=True)
class Name:
    name: str
    says: str = ""


@dataclass(frozen=True, slots=True)
class Names:
    """`functions` of scripts, `lookups` of fields, `effects` of tasks, `topics` of service tasks with what does them,
    the `job_types` that running Zeebe workers serve, none while no worker runs, and the `decisions` drawn here.
    """

    functions: list[Name]
    lookups: list[Name]
    effects: list[Name]
    topics: list[Name]
    job_types: list[Name]
    decisions: list[Name]


async def offered(session: Session) -> Names:
    return Names(
        functions=_functions(),
        lookups=[Name(name, _says(one)) for name, one in sorted(lookups.LOOKUPS.items())],
        effects=[Name(name) for name in sorted(elements.EFFECTS)],
        topics=await _topics(session),
        job_types=[Name(name) for name in sorted(await zeebe.served(session) or ())],
        decisions=[Name(own, says) for own, says in await drafts.decisions(session)],
    )


def _functions() -> list[Name]:
    known = {name: getattr(scripts, name) for name in scripts.NAMES if not name.startswith(INTERNAL)}
    return [
        Name(_call(function), (inspect.getdoc(function) or "").split("\n")[0]) for _, function in sorted(known.items())
    ]


def _call(function: object) -> str:
    parameters = inspect.signature(function).parameters  # pyright: ignore[reportArgumentType] - one of ours
    return f"{function.__name__}({', '.join(parameters)})"  # pyright: ignore[reportAttributeAccessIssue]


def _says(one: lookups.Lookup) -> str:
    needs = f"; needs {', '.join(one.needs)}" if one.needs else ""
    return one.says + needs + (f"; takes {', '.join(one.takes)}" if one.takes else "")


async def _topics(session: Session) -> list[Name]:
    pipelines = await session.execute(text("select name, title from pipeline where roles <> '{}' order by name"))
    found = [Name(f"pipeline:{row.name}", row.title) for row in pipelines]
    processes = await session.execute(
        text("select process_id, name from model where active and engine = 'zeebe' order by process_id")
    )
    found += [Name(f"zeebe:{row.process_id}", row.name) for row in processes]
    found += [Name(f"temporal:{name}", f"task queue {one.queue}; needs {', '.join(one.needs)}")
              for name, one in sorted(catalogue.OFFERED.items())]  # fmt: skip
    return [*found, Name("http", "calls an address"), Name("mail", "sends a mail")]
