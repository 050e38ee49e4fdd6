"""Documents of cases, to be saved by who may read them."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response

from app.clinic import documents
from app.db.session import reading
from app.web.security import actor, signed_in

blueprint = Blueprint("documents", __name__)


@blueprint.get("/documents/<uuid:document_id>")
@signed_in
async def download(document_id: UUID) -> Response:
    async with reading() as session:
        found = await documents.read(session, actor(), document_id)
    name = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "-_.") else "_" for sign in found.name)
    response = Response(found.content, content_type=found.media_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
