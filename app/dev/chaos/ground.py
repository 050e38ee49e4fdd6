"""What a run stands on once its service is up: the models of the load, clients, the ledger, a patient's ticket."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx

from app.clinic import accounts
from app.db.session import make_engine
from app.dev.chaos import models
from app.dev.chaos.clients import API, Client, GivenUp
from app.dev.chaos.ledger import Ledger
from app.dev.chaos.place import Place
from app.dev.journeys import Clinic
from app.dev.service import addresses, embedded


@dataclass(slots=True)
class Ground:
    """A service with the load's models. *ticket* names a visit that can be billed, *patients* are numbers."""

    place: Place
    client: Client
    ledger: Ledger
    ticket: str
    patients: Sequence[int]

    @property
    def given(self) -> dict[str, Any]:
        """What the processes that ask an engine for something need."""
        return {"ticketid": self.ticket, "docid": "HSP-200", "patientid": self.patients[0]}

    async def value(self, sql: str, *given: Any) -> Any:
        """One value of the run's database, past every line and as its owner."""
        return (await self.rows(sql, *given))[0][0]

    async def rows(self, sql: str, *given: Any) -> list[Any]:
        connection = await asyncpg.connect(self.place.database)
        try:
            return await connection.fetch(sql, *given)
        finally:
            await connection.close()

    async def emptied(self) -> None:
        """Drop the service's database, whoever is connected to it, and make an empty one."""
        cluster = embedded(self.place.state)
        await cluster.drop_database("dams")
        await cluster.create_database()

    async def clinic(self) -> Clinic:
        """The doctors and patients of the demo clinic, for journeys."""
        doctors = await self.rows("select specialization, empid from doctor")
        return Clinic([(row[0], row[1]) for row in doctors], self.patients)

    async def charges(self) -> list[dict[str, Any]]:
        """The payment provider's own entries; none where the run has no provider."""
        if "payments" not in self.place.supervisor.runs:
            return []
        async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
            return (await http.get(self.place.ledger_of_payments)).json()["entries"]


@asynccontextmanager
async def opened(place: Place, only: Collection[str] | None = None) -> AsyncGenerator[Ground]:
    """Deploy the models, or *only* those of these processes, and open the ledger. Raises :class:`GivenUp`."""
    token = await _token(place, "admin")
    await _deploy(place, token, only)
    ledger = Ledger(place.state.folder / "ledger.jsonl")
    await ledger.open()
    client = Client(place.url, token, ledger)
    ground = Ground(place, client, ledger, "", [])
    ground.ticket = await ground.value("select ticketid from appointment where status <> 'cancelled' limit 1")
    ground.patients = [row[0] for row in await ground.rows("select patientid from patient order by 1")]
    try:
        yield ground
    finally:
        await client.close()
        await ledger.close()


async def _token(place: Place, username: str) -> str:
    """A bearer token of an account, from the run's own database."""
    engine = make_engine(addresses(place.state)["postgresql"].replace("postgresql://", "postgresql+asyncpg://"))
    try:
        async with engine.begin() as session:
            return (await accounts.issue_token(session, await accounts.by_username(session, username))).value
    finally:
        await engine.dispose()


async def _deploy(place: Place, token: str, only: Collection[str] | None) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=place.direct, timeout=60, trust_env=False, headers=headers) as http:
        for process, content in models.drawn().items():
            if only is None or process in only:
                sent = {"file": (f"{process}.bpmn", content, "application/xml")}
                answer = await http.post(f"{API}/deployments", files=sent)
                if not answer.is_success:
                    raise GivenUp(f"{process} was refused: {answer.text}")
