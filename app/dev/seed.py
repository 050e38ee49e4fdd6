"""What a fresh state needs before the web serves: the schema, the demo clinic, the models that ship with DAMS.

Runs as a process of its own (`python -m app.dev.seed`), so that the supervisor stays small; with `--zeebe` it sends the
model that runs on Zeebe to the broker.
"""

from __future__ import annotations

import asyncio
import os
import sys

from sqlalchemy import text

from app.clinic import accounts, demo
from app.core.errors import SignInRequired
from app.core.settings import ROOT, settings
from app.db import migrate
from app.db.session import Session, dispose, transaction
from app.dev.airflow import ACCOUNT as AIRFLOW
from app.engines import deployments
from app.engines.spiff import models, payment
from app.engines.spiff.coded import writing
from app.engines.spiff.specs import BundleFile

SHIPPED = ROOT / "bpmn/spiff"
FOR_ZEEBE = ROOT / "bpmn/zeebe/diagnostics.bpmn"
PAYMENT = SHIPPED / "payment.json"
"""The payment process as a file: a test holds it to the specification in Python that is deployed here."""


async def seed(password: str) -> None:
    """The demo clinic with its users and the shipped models; what is there already stays as it is."""
    async with transaction() as session:
        await demo.seed(session, password)
    if own := os.environ.get("DAMS_AIRFLOW_ACCOUNT"):
        async with transaction() as session:
            await account(session, AIRFLOW, own, ["ops"])
    async with transaction() as session:
        await deploy_shipped(session)
    await dispose()


async def account(session: Session, username: str, password: str, roles: list[str]) -> None:
    """The account of a program that calls DAMS: made if it is missing, with this password from now on."""
    found = await session.scalar(text("select id from login where username = :name"), {"name": username})
    if found is None:
        await accounts.create(session, username, password, roles, display_name=username.title())
        return
    try:
        await accounts.authenticate(session, username, password)
    except SignInRequired:
        await accounts.set_password(session, found, password)


async def deploy_shipped(session: Session) -> None:
    """Deploy the models that ship with DAMS; an unchanged file keeps its version."""
    for path in sorted(SHIPPED.glob("*.bpmn")):
        report = await models.check([BundleFile(path.name, path.read_bytes())])
        await models.deploy(session, None, report, note="ships with DAMS")
    report = await models.check([BundleFile(PAYMENT.name, writing.dump(payment.spec()))])
    await models.deploy(session, None, report, note="ships with DAMS")


_BY_PEOPLE = text("""
    select exists(select from model m join deployment d on d.id = m.deployment_id
                  where m.active and d.login_id is not null and m.process_id = any(:ids))
""")


async def deploy_to_zeebe() -> None:
    """Send the model that ships for Zeebe to the broker and store it; an unchanged file keeps its version.

    What somebody of the clinic has deployed under its name stays the version that is started.

    Raises :class:`Unavailable` while the broker is away; nothing is stored then.
    """
    report = await models.check([BundleFile(FOR_ZEEBE.name, FOR_ZEEBE.read_bytes())])
    async with transaction() as session:
        drawn_here = await session.scalar(_BY_PEOPLE, {"ids": [model.process_id for model in report.models]})
    if not drawn_here:
        await deployments.deploy_with_keys(None, report, note="ships with DAMS")
    await dispose()


if __name__ == "__main__":
    if "--zeebe" in sys.argv:
        asyncio.run(deploy_to_zeebe())
        sys.exit()
    sys.stdout.write("bringing the schema up to date\n")
    sys.stdout.flush()
    migrate.prepare(settings().database)
    if "--demo" in sys.argv:
        sys.stdout.write("seeding the demo clinic\n")
        sys.stdout.flush()
        asyncio.run(seed(os.environ["DAMS_DEMO_PASSWORD"]))
