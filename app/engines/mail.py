"""Sends the effect `mail`: plain text over SMTP, addressed when it is sent, the same Message-ID at every try."""

from __future__ import annotations

from email.message import EmailMessage
from email.utils import formataddr
from typing import Any

import aiosmtplib
from sqlalchemy import text

from app.core.settings import settings
from app.db.session import reading
from app.engines.senders import Effect, Undeliverable, sender

NEVER_AGAIN = range(500, 600)


@sender("mail")
async def send(effect: Effect) -> None:
    """Send to the accounts of ``to_login`` and ``to_role``, the patients ``to_patient``, the doctors ``to_doctor`` and
    whoever has an address in ``to_address``. Raises :class:`Undeliverable` on a refusal for good."""
    recipients = await _recipients(effect.payload)
    if not recipients:
        raise Undeliverable("nobody to send to has an address")
    mail = settings().mail
    message = compose(effect, mail.sender)
    message["To"] = ", ".join(formataddr(recipient) for recipient in recipients)
    try:
        await aiosmtplib.send(
            message,
            recipients=[address for _name, address in recipients],
            hostname=mail.host,
            port=mail.port,
            username=mail.username or None,
            password=mail.password.get_secret_value() or None,
            start_tls=mail.start_tls,
            timeout=mail.answer_seconds,
        )
    except aiosmtplib.SMTPResponseException as error:
        if error.code in NEVER_AGAIN:
            raise Undeliverable(f"the mail server answered {error.code}") from error
        raise
    except aiosmtplib.SMTPRecipientsRefused as error:
        if all(refused.code in NEVER_AGAIN for refused in error.recipients):
            raise Undeliverable("the mail server refused every recipient") from error
        raise


def compose(effect: Effect, sender_address: str) -> EmailMessage:
    """The message without recipients. A subject never breaks into a second header: line ends become spaces."""
    message = EmailMessage()
    message["From"] = sender_address
    message["Message-ID"] = f"<{effect.id}@dams>"
    message["Subject"] = " ".join(str(effect.payload["subject"]).split())
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(str(effect.payload["text"]))
    return message


async def _recipients(payload: dict[str, Any]) -> list[tuple[str, str]]:
    async with reading() as session:
        rows = await session.execute(
            text("""select display_name, email from login where disabled_at is null and email <> ''
                    and (username = any(:names) or roles && cast(:roles as text[]))
                    union
                    select firstname || ' ' || lastname, email from patient
                    where patientid = any(cast(:patients as integer[])) and email <> ''
                    union
                    select firstname || ' ' || lastname, email from doctor
                    where empid = any(cast(:doctors as text[])) and email <> ''
                    union
                    select '', address from unnest(cast(:addresses as text[])) as given(address)
                    order by 2"""),
            {
                "names": payload.get("to_login", []),
                "roles": payload.get("to_role", []),
                "patients": payload.get("to_patient", []),
                "doctors": payload.get("to_doctor", []),
                "addresses": payload.get("to_address", []),
            },
        )
        return [(row.display_name, row.email) for row in rows]
