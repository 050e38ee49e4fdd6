"""Patient journeys with generated input over the API of a running service, several at once: `dams seed --journeys`.

Nothing is made up for the engines: each journey takes the way that people's clicks take, from the booking to the mail
that closes it. Tickets are new at every run, and times are taken only where they are free.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any
from uuid import uuid4

import httpx

PROCESS, ARRIVING = "Process_JourneyDams01", "Activity_Attend"
API = "/api/v1"
LONGEST = 300.0
"""Seconds after which a journey that has not ended is one that somebody must look at."""
TRIES = 80
"""Times of the day that are tried before a doctor counts as fully booked."""
PAUSE, LONGEST_PAUSE = 0.2, 1.0
"""Seconds until a journey that waits for an engine is looked at again, and to what they grow: looking takes a processor
too, and with many under way it would take more of it than the engines.
"""
FOUND = (
    "Sore throat, no fever.",
    "Ankle is swollen, no fracture.",
    "Blood pressure above the norm.",
    "A rash.",
)
ADVICE = ("Rest, warm tea, three days.", "Cool it, come again in a week.", "One tablet each morning.", "Use the cream.")
_chance = random.Random()  # noqa: S311 - no secret


class Failed(RuntimeError):
    """The service answered something else than a journey expects"""


@dataclass(frozen=True, slots=True)
class Clinic:
    """Who there is: doctors as (specialization, id), patients by number."""

    doctors: Sequence[tuple[str, str]]
    patients: Sequence[int]


@dataclass(slots=True)
class Seen:
    """What the journeys did. `starts` are milliseconds from asking for a run to its engine taking it up."""

    closed: int = 0
    stuck: list[str] = field(default_factory=list[str])
    seconds: list[float] = field(default_factory=list[float])
    starts: list[float] = field(default_factory=list[float])

    def figures(self, elapsed: float) -> dict[str, Any]:
        ordered = sorted(self.starts)
        return {
            "journeys": self.closed,
            "not_closed": len(self.stuck),
            "seconds": round(elapsed, 2),
            "journeys_per_s": round(self.closed / elapsed, 3) if elapsed else 0.0,
            "journey_p50_s": round(median(self.seconds or [0.0]), 2),
            "engine_starts": len(ordered),
            "engine_start_p50_ms": round(median(ordered or [0.0]), 1),
            "engine_start_p95_ms": round(ordered[round(0.95 * (len(ordered) - 1))], 1) if ordered else 0.0,
        }


def entries(clinic: Clinic, element: str, ticket: str) -> dict[str, Any]:
    """What is filled into the form of *element*, another at each call. Raises :class:`Failed` for an unknown one."""
    pick = _chance.choice
    match element:
        case "Activity_Doctor":
            specialization, docid = pick(clinic.doctors)
            return {"specialization": specialization, "docid": docid}
        case "Activity_Time":
            day = datetime.now(UTC).date() + timedelta(days=_chance.randint(2, 80))
            return {
                "date_scheduled": day.isoformat(),
                "time_scheduled": f"{pick(range(9, 17)):02}:{pick((0, 30)):02}",
            }
        case "Activity_Patient":
            return {
                "patientid": pick(clinic.patients),
                "ticketid": ticket,
                "priority_level": _chance.randint(1, 5),
            }
        case "Activity_Diagnosis":
            return {"narrative": pick(FOUND), "resolution": pick(ADVICE)}
        case "Activity_Charge":
            return {"charge": f"{_chance.randint(4000, 40000) / 100:.2f}", "discount": pick(("0.00", "5.00"))}
        case _:
            raise Failed(f"a form that the journey does not know: {element}")


class Journey:
    """One patient from the booking to the end, on a connection of its own."""

    def __init__(self, url: str, token: str, clinic: Clinic) -> None:
        self._client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60)
        self._clinic = clinic
        self.ticket = f"S-{uuid4().hex[:12]}"
        self.case = ""
        self.starts: list[float] = []

    def play(self) -> None:
        """Until it is closed. Raises :class:`Failed` where that does not come."""
        with self._client:
            view = self._ask("POST", f"{API}/models/{PROCESS}/instances", json={})
            self.case = view["case"]
            deadline, arrived, pause = time.monotonic() + LONGEST, False, PAUSE
            while view["status"] == "running":
                if time.monotonic() > deadline:
                    raise Failed(f"stands still at {_where(view)}")
                if view["tasks"]:
                    view, pause = self._fill(view["tasks"][0]), PAUSE
                elif not arrived and ARRIVING in (one["element_id"] for one in view["waiting"]):
                    self._ask("POST", "/appointment/arrival", json={"ticketid": self.ticket})
                    arrived = True
                else:
                    time.sleep(pause)
                    pause = min(pause * 1.5, LONGEST_PAUSE)
                    view = self._ask("GET", f"{API}/instances/{view['id']}")
            if view["status"] != "completed":
                raise Failed(f"ended as {view['status']}")
            self.starts = _starts(self._ask("GET", f"{API}/cases/{self.case}/timeline"))

    def _fill(self, task: Mapping[str, Any]) -> Any:
        """Complete a form; where a time or a patient is taken already, with other ones."""
        told: Failed | None = None
        for _ in range(TRIES):
            try:
                path = f"{API}/tasks/{task['id']}/complete"
                return self._ask(
                    "POST", path, json={"variables": entries(self._clinic, task["element_id"], self.ticket)}
                )
            except Failed as error:
                told = error
        raise told or Failed("no try was made")

    def _ask(self, method: str, path: str, **further: Any) -> Any:
        try:
            answer = self._client.request(method, path, **further)
        except httpx.HTTPError as error:
            raise Failed(f"{path}: {type(error).__name__}") from error
        if not answer.is_success:
            raise Failed(f"{path}: {answer.status_code} {answer.text[:200]}")
        return answer.json()


def _where(view: Mapping[str, Any]) -> str:
    return ", ".join(one["name"] for one in (*view["tasks"], *view["waiting"])) or "nothing"


def _starts(timeline: Sequence[Mapping[str, Any]]) -> list[float]:
    """Milliseconds from each run's row to the first word of its engine."""
    asked: dict[str, datetime] = {}
    found: list[float] = []
    for event in timeline:
        run, what = (event["data"] or {}).get("run"), event["kind"].partition(".")[2]
        at = datetime.fromisoformat(event["at"])
        if run and what == "requested":
            asked[run] = at
        elif run in asked and what in ("running", "completed"):
            found.append((at - asked.pop(run)).total_seconds() * 1000)
    return found


def clinic(url: str, token: str) -> Clinic:
    """The doctors and patients that the service knows. Raises :class:`Failed` where there is none of either."""
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
        answers = [client.get(f"/{kind}/profile/list/all") for kind in ("doc", "patient")]
    for answer in answers:
        if not answer.is_success:
            raise Failed(f"{answer.url.path}: {answer.status_code} {answer.text[:200]}")
    doctors, patients = (answer.json()["records"] for answer in answers)
    if not doctors or not patients:
        raise Failed("the clinic has no doctors or no patients; `dams seed` makes some")
    return Clinic([(one["specialization"], one["empid"]) for one in doctors], [one["patientid"] for one in patients])


def play(url: str, token: str, number: int, at_once: int, tell: Callable[[Seen], None]) -> tuple[Seen, float]:
    """Run *number* journeys, *at_once* at a time, and tell after each; what they did, and the seconds it took."""
    there, seen, began = clinic(url, token), Seen(), time.monotonic()
    with ThreadPoolExecutor(at_once) as threads:
        for ended in as_completed([threads.submit(_one, url, token, there) for _ in range(number)]):
            journey, seconds, why = ended.result()
            if why:
                seen.stuck.append(f"{journey.case or 'not begun'}: {why}")
            else:
                seen.closed += 1
                seen.seconds.append(seconds)
                seen.starts += journey.starts
            tell(seen)
    return seen, time.monotonic() - began


def _one(url: str, token: str, there: Clinic) -> tuple[Journey, float, str]:
    journey, began = Journey(url, token, there), time.monotonic()
    try:
        journey.play()
    except Failed as error:
        return journey, 0.0, str(error)
    return journey, time.monotonic() - began, ""
