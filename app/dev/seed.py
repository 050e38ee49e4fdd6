"""What a fresh state needs before the web serves: the schema, the demo clinic, the models that ship with DAMS.

Runs as a process of its own (`python -m app.dev.seed`), so that the supervisor stays small.
"""

from __future__ import annotations

import asyncio
import os
import sys

from app.clinic import demo
from app.core.settings import ROOT, settings
from app.db import migrate
from app.db.session import Session, dispose, transaction
from app.engines.spiff import models, payment
from app.engines.spiff.coded import writing
from app.engines.spiff.specs import BundleFile

SHIPPED = ROOT / "bpmn/spiff"
PAYMENT = SHIPPED / "payment.json"
"""The payment process as a file: a test holds it to the specification in Python that is deployed here."""


async def seed(password: str) -> None:
    """The demo clinic with its users and the shipped models; what is there already stays as it is."""
    async with transaction() as session:
        await demo.seed(session, password)
    async with transaction() as session:
        await deploy_shipped(session)
    await dispose()


async def deploy_shipped(session: Session) -> None:
    """Deploy the models that ship with DAMS; an unchanged file keeps its version."""
    for path in sorted(SHIPPED.glob("*.bpmn")):
        report = await models.check([BundleFile(path.name, path.read_bytes())])
        await models.deploy(session, None, report, note="ships with DAMS")
    report = await models.check([BundleFile(PAYMENT.name, writing.dump(payment.spec()))])
    await models.deploy(session, None, report, note="ships with DAMS")


if __name__ == "__main__":
    sys.stdout.write("bringing the schema up to date\n")
    sys.stdout.flush()
    migrate.prepare(settings().database)
    if "--demo" in sys.argv:
        sys.stdout.write("seeding the demo clinic\n")
        sys.stdout.flush()
        asyncio.run(seed(os.environ["DAMS_DEMO_PASSWORD"]))
