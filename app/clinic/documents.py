"""Documents made for a case, kept in PostgreSQL with it: who may read one is decided here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from app.clinic import audit
from app.core.actor import DESK, Actor
from app.core.errors import NotFound
from app.core.ids import uuid7
from app.db.session import Session


@dataclass(frozen=True, slots=True)
class Document:
    """One file. `name` is what a browser saves it as."""

    id: UUID
    name: str
    media_type: str
    content: bytes


async def keep(
    session: Session,
    kind: str,
    name: str,
    media_type: str,
    content: bytes,
    *,
    case: str,
    instance_id: UUID | None = None,
    patientid: int | None = None,
    by: int | None = None,
) -> UUID:
    """Keep a document; one of each kind for an instance, so that a repeat gives the first one's id."""
    given = {
        "id": uuid7(),
        "kind": kind,
        "name": name,
        "media_type": media_type,
        "content": content,
        "sha256": hashlib.sha256(content).hexdigest(),
        "case_no": case,
        "instance_id": instance_id,
        "patientid": patientid,
    }
    made: UUID | None = await session.scalar(
        text("""insert into document (id, kind, name, media_type, content, sha256, case_no, instance_id, patientid)
                values (:id, :kind, :name, :media_type, :content, :sha256, :case_no, :instance_id, :patientid)
                on conflict (kind, instance_id) do nothing returning id"""),
        given,
    )
    if made is None:
        known = text("select id from document where kind = :kind and instance_id = :instance_id")
        return (await session.execute(known, {"kind": kind, "instance_id": instance_id})).scalar_one()
    told = {"document": str(made), "kind": kind}
    await audit.record(session, "document.issued", actor_id=by, case=case, instance_id=instance_id, data=told)
    return made


async def read(session: Session, actor: Actor, document_id: UUID) -> Document:
    """A document for the desk, or for the patient it is about. Raises :class:`NotFound` to everybody else."""
    row = (
        await session.execute(
            text("""select d.id, d.name, d.media_type, d.content, p.username
                    from document d left join patient p on p.patientid = d.patientid where d.id = :id"""),
            {"id": document_id},
        )
    ).first()
    if row is None or not (actor.has(*DESK) or row.username == actor.username):
        raise NotFound("There is no such document for you.")
    return Document(row.id, row.name, row.media_type, row.content)
