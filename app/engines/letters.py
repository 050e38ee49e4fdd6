"""The topic `mail`: a service task sends a mail and goes on when the mail server has taken it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from app.core.errors import Invalid
from app.core.ids import uuid7
from app.core.settings import settings
from app.db.session import Session, transaction
from app.engines import control, mail, outbox, runs, topics
from app.engines.runs import Run
from app.engines.senders import Effect, Undeliverable, sender
from app.engines.topics import Asked, Fault

ENGINE, KIND = "mail", "mail-job"
TO = ("to", "to_patient", "to_doctor", "to_login", "to_role")
"""An address, the number of a patient, the id of a doctor, a user name, a role; or a list of one of these."""
TEMPLATES = {
    "visit-over": (
        "Your visit to {clinic}",
        "Thank you for coming. Your visit {ticketid} is closed; nothing is open.\n",
    ),
    "visit-missed": ("We missed you", "You did not come to your visit {ticketid}. Book another one when you like.\n"),
    "results-ready": ("Word from {clinic}", "What you waited for is ready. Please ask at the desk, or sign in.\n"),
}
"""Subject and text by name. None says why a patient comes."""
_PLACE = re.compile(r"\{([a-z_]\w*)\}", re.ASCII)
_ADDRESS = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>]+")
_KNOWN = frozenset({*TO, "subject", "text", "template"})


@topics.checks(ENGINE)
def faults(_name: str, inputs: Mapping[str, str | None]) -> list[Fault]:
    """What a model gets wrong; a value of None is one that is computed."""
    found: list[Fault] = []
    if not any(name in inputs for name in TO):
        found.append(("says nobody to send to", f"add one of the inputs {', '.join(TO)}"))
    template = inputs.get("template", "")
    if template and template not in TEMPLATES:
        found.append((f"there is no template {template!r}", f"use {', '.join(TEMPLATES)}"))
    if "template" not in inputs and not {"subject", "text"} <= set(inputs):
        found.append(("has nothing to send", "add subject and text, or a template"))
    written = TEMPLATES.get(template or "", (inputs.get("subject", ""), inputs.get("text", "")))
    if template is None or None in written:
        return found
    places = {place for part in written if part for place in _PLACE.findall(part)} - {"clinic"}
    given = set(inputs) - _KNOWN
    found += [
        (f"the letter has a place {{{one}}} and no input of that name", "add it") for one in sorted(places - given)
    ]
    found += [(f"the letter has no place {{{one}}}", "take the input out") for one in sorted(given - places)]
    return found


@topics.serves(ENGINE)
async def serve(session: Session, asked: Asked) -> None:
    """A task asks for a mail. Raises :class:`Invalid` for one that cannot be sent as it is."""
    _letter(asked.given)
    run_id = uuid7()
    await runs.request(
        session,
        ENGINE,
        str(asked.given.get("template") or "letter"),
        asked.given,
        run_id=run_id,
        external_id=str(run_id),
        case=asked.case,
        instance_id=asked.instance_id,
        task_id=asked.task_id,
        started_by=asked.started_by,
    )
    await outbox.enqueue(session, KIND, str(run_id), {"run": str(run_id)}, case=asked.case)


def _letter(given: Mapping[str, Any]) -> dict[str, Any]:
    """What `mail.send` takes."""
    wrong: dict[str, str] = {}
    subject, text = TEMPLATES.get(str(given.get("template")), (given.get("subject"), given.get("text")))
    values = {"clinic": settings().clinic.name, **{name: given[name] for name in given if name not in _KNOWN}}
    if not subject or not text:
        wrong["template"] = "There is no such template, and no subject and text."
    missing = {place for part in (subject, text) for place in _PLACE.findall(str(part))} - set(values)
    wrong |= dict.fromkeys(missing, "The letter needs it.")
    to = {name: _several(given[name]) for name in TO if given.get(name) not in (None, "", [])}
    if not to:
        wrong["to"] = "Say to whom."
    if not all(_ADDRESS.fullmatch(str(one)) for one in to.get("to", [])):
        wrong["to"] = "Write mail addresses."
    if not all(isinstance(one, int) or str(one).isdecimal() for one in to.get("to_patient", [])):
        wrong["to_patient"] = "Write patients' numbers."
    if wrong:
        raise Invalid(wrong)
    payload: dict[str, Any] = {name: [str(one) for one in several] for name, several in to.items() if name != "to"}
    if "to" in to:
        payload["to_address"] = [str(one) for one in to["to"]]
    if "to_patient" in to:
        payload["to_patient"] = [int(one) for one in to["to_patient"]]
    return {**payload, "subject": _filled(str(subject), values), "text": _filled(str(text), values)}


def _several(given: Any) -> list[Any]:
    return list(given) if isinstance(given, list) else [given]


def _filled(written: str, values: Mapping[str, Any]) -> str:
    """Values go in once: a brace in a value stays what it is."""
    return _PLACE.sub(lambda place: str(values[place[1]]), written)


@sender(KIND)
async def send(effect: Effect) -> None:
    """Send it, with the same Message-ID at every try, and tell the task."""
    run_id = UUID(effect.payload["run"])
    async with transaction() as session:
        run = await runs.get(session, run_id)
        if run is None or run.status not in ("requested", "running"):
            return  # called off, or sent before
        await runs.began(session, run_id)
    try:
        await mail.send(Effect(run_id, "mail", effect.key, _letter(run.input), effect.attempts))
    except (Undeliverable, Invalid) as error:
        async with transaction() as session:
            await runs.failed(session, run_id, error.code, error.detail)
        return
    async with transaction() as session:
        await runs.completed(session, run_id, {})


@control.retries(ENGINE)
async def ask_again(session: Session, run: Run, key: str) -> None:
    await outbox.enqueue(session, KIND, key, {"run": str(run.id)}, case=run.case_no)


@control.cancels(ENGINE)
async def call_off(session: Session, run: Run, key: str) -> None:
    """Nothing is told: a mail that has not gone out does not go out any more."""
