"""Diagnoses, payments and laboratory requests: search, pages, CSV."""

from __future__ import annotations

from flask import Blueprint, Response, render_template, request, url_for

from app.clinic import audit, books
from app.clinic.books import Book
from app.db.session import reading, transaction
from app.web import export, fields
from app.web.security import actor, allow

blueprint = Blueprint("books", __name__)
PAGE = 50
EXPORTED = 10_000


@blueprint.get("/diagnoses")
@allow("doctor", "admin")
async def diagnoses() -> str:
    return await _page("diagnoses", books.DIAGNOSES)


@blueprint.get("/diagnoses.csv")
@allow("doctor", "admin")
async def diagnoses_csv() -> Response:
    return await _csv("diagnoses", books.DIAGNOSES)


@blueprint.get("/payments")
@allow("staff", "admin")
async def payments() -> str:
    return await _page("payments", books.PAYMENTS)


@blueprint.get("/payments.csv")
@allow("staff", "admin")
async def payments_csv() -> Response:
    return await _csv("payments", books.PAYMENTS)


@blueprint.get("/requests")
@allow("doctor", "staff", "admin")
async def requests() -> str:
    return await _page("requests", books.REQUESTS)


@blueprint.get("/requests.csv")
@allow("doctor", "staff", "admin")
async def requests_csv() -> Response:
    return await _csv("requests", books.REQUESTS)


async def _page(name: str, book: Book) -> str:
    wanted = request.args.get("q", "").strip()[:100]
    before = fields.optional(request.args, "before")
    async with reading() as session:
        found = await books.page(session, book, wanted, before=before, limit=PAGE + 1)
    rows = found[:PAGE]
    more = url_for(f"books.{name}", q=wanted or None, before=rows[-1]["id"]) if len(found) > PAGE else None
    return render_template(
        "book_list.html", book=book, rows=rows, wanted=wanted, more=more, name=f"books.{name}", paged=before is not None
    )


async def _csv(name: str, book: Book) -> Response:
    """What the page shows, all of it; that somebody took it along is written down."""
    wanted = request.args.get("q", "").strip()[:100]
    async with transaction() as session:
        rows = await books.page(session, book, wanted, limit=EXPORTED)
        await audit.record(session, "records.exported", actor_id=actor().id, data={"list": name, "rows": len(rows)})
    return export.as_csv(name, book.columns, ([row[column] for column in book.columns] for row in rows))
