"""The shipped patient journey over every engine: one case, one timeline, each effect once; and what ops can mend."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx

from app.dev import journeys
from app.dev.chaos.clients import PAUSE, Client
from app.dev.chaos.crowd import Crowd
from app.dev.chaos.ledger import Ledger
from app.dev.chaos.lines import Line
from app.dev.chaos.reckoning import reckon
from tests.conftest import cluster
from tests.journey import clear
from tests.journey.conftest import Clinic
from tests.waiting import wait_until

FOUND = {"narrative": "Sore throat, no fever.", "resolution": "Rest, warm tea, three days."}
BILL = {"charge": "80.00", "discount": "5.00"}
ASKED = [
    ("temporal", "AttendVisitWorkflow"),
    ("zeebe", "Process_Diagnostics"),
    ("temporal", "BillVisitWorkflow"),
    ("celery", "doctor-stats"),
    ("mail", "visit-over"),
]
"""What the journey has done by other engines, in this order."""


def closed(clinic: Clinic, case: str) -> bool:
    [row] = clinic.rows("select status from instance where case_no = $1", case)
    return row["status"] == "completed"


def test_a_journey_goes_over_every_engine_and_is_one_case(clinic: Clinic) -> None:
    view, ticket = clinic.book()
    case = view["case"]
    found = f"Sore throat of {ticket}."
    clinic.web.complete(clinic.arrives(view, ticket)["id"], "doctor", **FOUND | {"narrative": found})
    clinic.web.complete(clinic.waits_for(view, "Activity_Charge")["id"], **BILL)
    wait_until(lambda: closed(clinic, case))
    kept = clinic.view(view)["variables"]
    paymentid = kept["paymentid"]
    assert (kept["visit_status"], FOUND["resolution"] in kept["analysis"]) == ("checked-in", True)
    assert kept["doctor_figures"].startswith("Doctor HSP-200 has ")

    runs = clinic.rows("select engine, name, status, case_no from engine_run where task_id is not null order by id")
    assert [(run["engine"], run["name"]) for run in runs if run["case_no"] == case] == ASKED
    assert {run["status"] for run in runs if run["case_no"] == case} == {"completed"}
    assert len(clinic.rows("select 1 from appointment where ticketid = $1 and status = 'checked-in'", ticket)) == 1
    assert len(clinic.rows("select 1 from payment where ticketid = $1 and status and amount = 75", ticket)) == 1
    assert clinic.value("select count(*) from diagnosis where narrative = $1", found) == 1
    [charge] = clinic.charges(paymentid)
    assert (charge["kind"], Decimal(charge["amount"])) == ("charge", Decimal(75))
    wait_until(lambda: not clinic.value("select count(*) from outbox where state <> 'sent'"))
    told = Counter(clinic.mails(ticket))
    assert set(told.values()) == {1}, told
    assert len([mail for mail in told if "Subject: Your visit to" in mail]) == 1

    happened = Counter((event["kind"], (event["data"] or {}).get("name", "")) for event in clinic.timeline(case))
    for engine, name in ASKED:
        assert happened[f"{engine}.requested", name] == happened[f"{engine}.completed", name] == 1, (name, happened)
    assert sum(number for (kind, _), number in happened.items() if kind == "job.completed") == len(ASKED)
    assert sum(number for (kind, _), number in happened.items() if kind == "task.completed") == 5
    for kind in ("instance.started", "appointment.booked", "diagnosis.recorded"):
        assert sum(number for (one, _), number in happened.items() if one == kind) == 1, kind


def test_nothing_of_a_patient_stands_in_clear_in_an_engine_a_log_or_a_figure(clinic: Clinic) -> None:
    """A journey with words that stand nowhere else; what must be there in each store is found by the same search."""
    words = {"ticket": "CANARY-7719", "narrative": "Quelvazor ache", "resolution": "Brimfold tonic"}
    [patient] = clinic.rows(
        "select firstname || ' ' || lastname, email, mobile, address from patient where patientid = 7"
    )
    secret = [*words.values(), *(str(value) for value in patient if value)]
    view, ticket = clinic.book(words["ticket"])
    found = {"narrative": f"{words['narrative']}, no fever.", "resolution": f"{words['resolution']}, three days."}
    clinic.web.complete(clinic.arrives(view, ticket)["id"], "doctor", **found)
    clinic.web.complete(clinic.waits_for(view, "Activity_Charge")["id"], **BILL)
    wait_until(lambda: closed(clinic, view["case"]))
    wait_until(lambda: not clinic.value("select count(*) from outbox where state <> 'sent'"))

    kept = clear.stores()
    for engine, sign in (("redis", "dams.launch"), ("zeebe", "Process_Diagnostics"), ("temporal", "BillVisitWorkflow")):
        assert clear.holding([sign], kept[engine]), f"the search sees nothing of {engine}"
        assert clear.holding(secret, kept[engine]) == {}, engine
    logs = clear.printed()
    assert clear.holding(["temporal worker polls"], logs)
    assert clear.holding(secret, logs) == {}
    figures = httpx.get(f"{clinic.web.url}/metrics", headers=clinic.web.token("ops"), timeout=60).text
    assert "dams_http_request_seconds" in figures
    assert [word for word in secret if word in figures] == []


def test_a_step_whose_engine_fails_is_an_incident_that_ops_has_tried_again(clinic: Clinic) -> None:
    view, ticket = clinic.book()
    case = view["case"]
    diagnosis = clinic.arrives(view, ticket)
    refuse(clinic, "revoke select on diagnosis from")  # what was found can be written, and Zeebe's job cannot read it
    refuse(clinic, "grant select (id) on diagnosis to")
    try:
        clinic.web.complete(diagnosis["id"], "doctor", **FOUND | {"narrative": "Cough."})
        shown = wait_until(lambda: incidents(clinic, case))
    finally:
        refuse(clinic, "grant select on diagnosis to")
    assert [(one["engine"], one["status"]) for one in shown] == [("zeebe", "failed")]
    assert clinic.view(view)["status"] == "running"
    page = clinic.web.page("ops", f"/cases/{case}")
    assert "needs attention" in page
    clinic.web.call("POST", f"/instances/{shown[0]['run']}/incidents/{shown[0]['n']}/retry", "ops")
    clinic.web.complete(clinic.waits_for(view, "Activity_Charge")["id"], **BILL)
    wait_until(lambda: closed(clinic, case))
    assert incidents(clinic, case) == []
    assert len(clinic.rows("select 1 from payment where ticketid = $1 and status", ticket)) == 1


def incidents(clinic: Clinic, case: str) -> list[asyncpg.Record]:
    return clinic.rows(
        """select r.engine, r.status, r.id as run, n.n from incident n join engine_run r on r.id = n.run_id
           where r.case_no = $1 and n.resolved_at is null""",
        case,
    )


def refuse(clinic: Clinic, statement: str) -> None:
    """Change what the role that serves may do in the clinic's database."""
    asyncio.run(_as_owner(clinic.web.database, statement))


async def _as_owner(database: str, statement: str) -> None:
    url = cluster().url(database.rpartition("/")[2]).replace("+asyncpg", "")
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"{statement} {database.split('//')[1].split(':')[0]}")
    finally:
        await connection.close()


def test_journeys_with_generated_input_run_side_by_side_and_again(clinic: Clinic) -> None:
    environment = os.environ | {"DAMS_TOKEN": clinic.web.token("admin")["Authorization"].removeprefix("Bearer ")}
    command = [sys.executable, "-m", "app.cli", "seed", "--journeys", "2", "--at-once", "2", "--json"]
    before = clinic.rows("select ticketid from appointment")
    for _ in range(2):
        ended = subprocess.run(
            [*command, "--url", clinic.web.url], env=environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
        figures = json.loads(ended.stdout)
        assert (figures["journeys"], figures["not_closed"], figures["engine_starts"]) == (2, 0, 10)
        assert "2 of 2 closed" in ended.stderr
    found = clinic.rows("select ticketid, status from appointment where ticketid like 'S-%'")
    made = [row for row in found if row["ticketid"] not in {row["ticketid"] for row in before}]
    assert [row["status"] for row in made] == ["checked-in"] * 4
    paid = clinic.rows("select ticketid from payment where status")
    tickets = {row["ticketid"] for row in made}
    assert sorted(row["ticketid"] for row in paid if row["ticketid"] in tickets) == sorted(tickets)


def test_a_declined_payment_comes_back_to_the_bill_and_is_paid_then(clinic: Clinic) -> None:
    view, ticket = clinic.book()
    clinic.web.complete(clinic.arrives(view, ticket)["id"], "doctor", **FOUND)
    first = clinic.waits_for(view, "Activity_Charge")
    clinic.web.complete(first["id"], **BILL | {"charge": "60000.00"})
    second = wait_until(lambda: next((one for one in clinic.view(view)["tasks"] if one["id"] != first["id"]), None))
    clinic.web.complete(second["id"], **BILL)
    wait_until(lambda: closed(clinic, view["case"]))
    [charge] = clinic.charges(clinic.view(view)["variables"]["paymentid"])
    assert charge["kind"] == "charge"
    assert incidents(clinic, view["case"]) == []


def test_journeys_whose_answers_are_lost_again_and_again_close_once(clinic: Clinic, tmp_path: Path) -> None:
    asyncio.run(_travelled(clinic, tmp_path))


async def _travelled(clinic: Clinic, folder: Path) -> None:
    """Three patients over a line that breaks again and again: what they do not hear they ask again."""
    line = Line(0, urlsplit(clinic.web.url).port or 0)
    await line.open()
    ledger = Ledger(folder / "ledger.jsonl")
    await ledger.open()
    client = Client(f"http://127.0.0.1:{line.port}", clinic.web.token("admin")["Authorization"].split()[1], ledger)
    doctors = await clinic.web.rows("select specialization, empid from doctor")
    patients = await clinic.web.rows("select patientid from patient")
    people = journeys.Clinic([tuple(row) for row in doctors], [row[0] for row in patients])
    crowd = Crowd(client, people, number=3, kills=2, at_once=2)

    async def breaks() -> None:
        while crowd.ended < crowd.number:
            line.lose()
            await asyncio.sleep(2.5 * PAUSE)  # who asks after a pause would lose the same answer for ever

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(crowd.run())
        tasks.create_task(breaks())
        for kill in range(2):
            await crowd.meets(kill)
            assert len(crowd.patients) > kill * 3 // 2
            await crowd.strikes()
    await client.close()
    await line.close()
    told = await ledger.close()
    assert [one for one in told if one["status"] == 0], "no answer was lost"
    found = await reckon(clinic.web.database, crowd.patients, await asyncio.to_thread(entries, clinic))
    assert (found.asked, found.closed, found.stopped, found.missing) == (3, 3, [], [])
    others = [one for one in found.doubled if "was begun by nobody" not in one]  # the other tests' journeys
    assert others == []


def entries(clinic: Clinic) -> list[dict[str, Any]]:
    return httpx.get(f"{clinic.payments}/ledger", timeout=60).json()["entries"]
