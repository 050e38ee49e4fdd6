"""Deploying files, whatever engine they are drawn for: checked as one bundle, sent to their engine, stored.

A file's engine is read from it: its platform mark, else the extensions in it. The broker is asked before the database
and outside its transaction: when it is down nothing is stored, and what it took twice is one version there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from sqlalchemy import text

from app.core.actor import Actor
from app.core.errors import Conflict, Invalid, ModelRefused, Problem
from app.db.session import Session, reading, transaction
from app.engines import topics
from app.engines.spiff import models
from app.engines.spiff.elements import Element
from app.engines.spiff.records import Receipt
from app.engines.spiff.specs import BundleFile, CheckReport, CompiledModel
from app.engines.topics import Doubt
from app.engines.zeebe import models as zeebe
from app.engines.zeebe.broker import Definition

Engine = Literal["auto", "spiff", "zeebe"]
ENGINES: tuple[Engine, ...] = ("auto", "spiff", "zeebe")


async def check(files: Sequence[BundleFile], engine: Engine = "auto") -> CheckReport:
    """Every problem of the files, and their models if none is an error; nothing is stored."""
    report = await models.check(files)
    if engine != "auto":
        report = _only(report, engine)
    async with reading() as session:
        return await _with_topics(session, await zeebe.with_workers(session, report))


async def deploy(actor: Actor, report: CheckReport, *, activate: bool = True, note: str = "") -> Receipt:
    """Send each model to its engine and store it, or say that it is the one already there.

    Raises:
        ModelRefused: the report holds an error, or the broker found one; nothing is stored.
        Invalid: a model of Zeebe deployed inactive.
        Unavailable: the broker does not answer; nothing is stored.
    """
    return (await deploy_with_keys(actor, report, activate=activate, note=note))[0]


async def deploy_with_keys(
    actor: Actor | None, report: CheckReport, *, activate: bool = True, note: str = ""
) -> tuple[Receipt, dict[str, Definition]]:
    """As :func:`deploy`, with what the broker made of each of its processes, by process id."""
    if not report.ok:
        raise ModelRefused(report.problems)
    if not activate and any(model.engine == "zeebe" for model in report.models):
        raise Invalid({"activate": "Zeebe starts the newest version of a process, so it cannot be deployed inactive."})
    made = await zeebe.publish(report.models)
    async with transaction() as session:
        receipt = await models.deploy(session, actor, report, activate=activate, note=note)
        for definition in made.values():
            await _remember(session, definition)
    return receipt, made


def _only(report: CheckReport, engine: str) -> CheckReport:
    others = [model for model in report.models if model.engine != engine]
    fix = "set its platform in the modeler, or ask for auto"
    found = [
        Problem(
            file=model.file,
            line=1,
            element_type="process",
            element_id=model.process_id,
            element_name=model.name,
            rule="other-engine",
            severity="error",
            message=f"is drawn for {model.engine}, and {engine} was asked for",
            fix=fix,
        )
        for model in others
    ]
    return replace(report, problems=[*report.problems, *found], models=[]) if others else report


async def _with_topics(session: Session, report: CheckReport) -> CheckReport:
    """*report* with the names of pipelines and processes that nothing answers to."""
    together = {f"zeebe:{model.process_id}" for model in report.models if model.engine == "zeebe"}
    named = [(model, one) for model in report.models for one in model.elements.values() if one.topic]
    asked = {element.topic for _, element in named} - together
    doubts = {topic: doubt for topic in asked if (doubt := await topics.doubt(session, topic)) is not None}
    found = [_unanswered(model, one, doubts[one.topic]) for model, one in named if one.topic in doubts]
    sure = any(problem.severity == "error" for problem in found)
    return replace(report, problems=[*report.problems, *found], models=[] if sure else report.models)


def _unanswered(model: CompiledModel, element: Element, doubt: Doubt) -> Problem:
    return Problem(
        file=model.file,
        line=element.line,
        element_type=element.type,
        element_id=element.id,
        element_name=element.name,
        rule="topic-unknown" if doubt.sure else "topic-unseen",
        severity="error" if doubt.sure else "warning",
        message=doubt.message,
        fix=doubt.fix,
    )


async def _remember(session: Session, made: Definition) -> None:
    """Keep the broker's own number of the version that is active now.

    Raises :class:`Conflict` if somebody else's deployment of the process reached the broker just after this one.
    """
    values = {"process_id": made.process_id, "version": made.version}
    overtaken = text("""select exists(select from model where process_id = :process_id and external_version > :version
                                      and created_at > now() - interval '1 minute')""")
    if await session.scalar(overtaken, values):
        raise Conflict("Somebody deployed a newer version of this process at the same moment. Deploy yours again.")
    await session.execute(
        text("update model set external_version = :version where process_id = :process_id and active"), values
    )
