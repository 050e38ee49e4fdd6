"""/dev/mail: what the demo's mail sink received."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path

from flask import Blueprint, render_template

from app.core.errors import NotFound
from app.core.settings import settings
from app.web.security import allow

blueprint = Blueprint("mailbox", __name__)
SHOWN = 100


@dataclass(frozen=True, slots=True)
class Letter:
    at: datetime
    to: str
    subject: str
    text: str


@blueprint.get("/dev/mail")
@allow("admin", "ops", "staff", "doctor")
async def listing() -> str:
    given = settings()
    if not given.web.demo or not given.mail.sink:
        raise NotFound("Mail is shown only in the demo, with its mail sink.")
    letters = await asyncio.to_thread(read, Path(given.mail.sink))
    return render_template("mail.html", letters=letters)


def read(folder: Path) -> list[Letter]:
    """The newest messages first."""
    files = sorted(folder.glob("*.eml"), reverse=True)[:SHOWN]
    return [_letter(file) for file in files]


def _letter(file: Path) -> Letter:
    message = message_from_bytes(file.read_bytes(), policy=policy.default)
    body = message.get_body(("plain",))
    at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    text = str(body.get_content()) if body is not None else ""
    return Letter(at, str(message.get("X-Envelope-To", "")), str(message.get("Subject", "")), text)
