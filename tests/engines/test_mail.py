"""The effect `mail`: who gets it, what it looks like, which refusals are for good."""

from __future__ import annotations

from email.message import EmailMessage
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from app.core.actor import Actor
from app.db.session import transaction
from app.engines import mail, notify
from app.engines.senders import Effect, Undeliverable
from tests.conftest import make_actor
from tests.engines.conftest import Post, relay
from tests.waiting import until


def effect(**payload: object) -> Effect:
    return Effect(uuid4(), "mail", "k", {"subject": "Hello", "text": "Text", **payload}, 1)


async def test_everybody_of_a_role_gets_one_mail(ops: Actor, post: Post) -> None:
    await make_actor("second", "ops", display_name="Señora Ops, second")
    await make_actor("outsider", "staff")
    sent = effect(to_role=["ops"])
    await mail.send(sent)
    assert post.got == [f"<{sent.id}@dams>"]
    assert post.recipients == [["ops@clinic.example", "second@clinic.example"]]


async def test_a_closed_account_gets_nothing(ops: Actor, post: Post) -> None:
    async with transaction() as session:
        await session.execute(text("update login set disabled_at = now()"))
    with pytest.raises(Undeliverable):
        await mail.send(effect(to_login=["ops"]))
    assert post.got == []


async def test_a_refusal_for_good_is_not_tried_again(ops: Actor, post: Post) -> None:
    post.usual = "554 never"
    with pytest.raises(Undeliverable, match="554"):
        await mail.send(effect(to_login=["ops"]))


@given(st.text())
def test_no_subject_breaks_into_another_header(subject: str) -> None:
    message = mail.compose(effect(subject=f"{subject}\r\nBcc: all@clinic.example\n"), "DAMS <dams@clinic.example>")
    assert isinstance(message, EmailMessage)
    assert set(message.keys()) >= {"From", "Message-ID", "Subject"}
    assert "Bcc" not in message
    message.as_bytes()


async def test_who_is_assigned_a_task_is_told_once_and_without_patient_data(ops: Actor, post: Post) -> None:
    task, instance = uuid4(), uuid4()
    for _ in range(2):
        async with transaction() as session:
            await notify.task_mail(session, task, "ops", case="A-1", instance_id=instance)

    async def told() -> bool:
        return len(post.got) == 1

    with relay():
        await until(told)
        async with transaction() as session:
            await notify.incident_mail(session, instance, 1, "Check in", case="A-1")

        async def told_again() -> bool:
            return len(post.got) == 2

        await until(told_again)
    assert len(set(post.got)) == 2
