"""Tells people what they should know: mails, asked for in the transaction of their cause, never with patient data."""

from __future__ import annotations

from uuid import UUID

from app.db.session import Session
from app.engines import outbox


async def task_mail(
    session: Session, task_id: UUID, username: str, *, case: str | None, instance_id: UUID, again: str = ""
) -> None:
    """A task was assigned to this person: say so, once per task and *again*, which names a later assignment."""
    text = f"A task of case {case} is assigned to you.\n\nOpen it in DAMS: /tasks/{task_id}\n"
    payload = {"to_login": [username], "subject": f"A task for you in case {case}", "text": text}
    await outbox.enqueue(
        session, "mail", f"task:{task_id}" + (f":{again}" if again else ""), payload, case=case, instance_id=instance_id
    )


async def incident_mail(session: Session, instance_id: UUID, n: int, element_name: str, *, case: str | None) -> None:
    """An instance stopped: tell ops, once per incident."""
    text = f"Case {case} stopped at “{element_name}”.\n\nSee why and retry in DAMS: /instances/{instance_id}\n"
    payload = {"to_role": ["ops"], "subject": f"Incident in case {case}", "text": text}
    await outbox.enqueue(session, "mail", f"incident:{instance_id}:{n}", payload, case=case, instance_id=instance_id)
