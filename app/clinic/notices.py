"""Notices as PDF: the release notice, and the sheet that others are drawn on. Latin letters; others show as boxes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache

from reportlab.lib.pagesizes import A5
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

MARGIN, LINE = 48, 20


@dataclass(frozen=True, slots=True)
class Notice:
    """What stands on the notice; `lines` are amounts with their names."""

    clinic: str
    case: str
    ticketid: str
    patient: str
    patientid: int
    released: date | None
    lines: tuple[tuple[str, Decimal], ...]


def draw(notice: Notice) -> bytes:
    """One page. The same notice gives the same bytes."""
    rows = [("Case", notice.case), ("Ticket", notice.ticketid), ("Patient", f"{notice.patient} ({notice.patientid})")]
    rows += [("Released on", notice.released.isoformat() if notice.released else "")]
    rows += [(name, f"{amount:,.2f}") for name, amount in notice.lines]
    foot = "The account of this visit is settled."
    return sheet("Release notice", notice.clinic, notice.case, rows, foot)


def sheet(title: str, clinic: str, case: str, rows: Sequence[tuple[str, str]], foot: str) -> bytes:
    """A page of A5 with names and values under a title."""
    _fonts()
    output = io.BytesIO()
    page = Canvas(output, pagesize=A5, invariant=1)
    page.setTitle(f"{title} {case}")
    page.setAuthor(clinic)
    width, top = A5[0] - MARGIN, A5[1] - MARGIN
    page.setFont("VeraBd", 16)
    page.drawString(MARGIN, top, title)
    page.setFont("Vera", 10)
    page.drawRightString(width, top, clinic)
    page.line(MARGIN, top - 10, width, top - 10)
    for number, (name, value) in enumerate(rows, 2):
        page.drawString(MARGIN, top - number * LINE, name)
        page.drawRightString(width, top - number * LINE, value)
    page.drawString(MARGIN, top - (len(rows) + 3) * LINE, foot)
    page.save()
    return output.getvalue()


@lru_cache(maxsize=1)
def _fonts() -> None:
    """The fonts that the library brings along, embedded, so that the page prints the same everywhere."""
    for name in ("Vera", "VeraBd"):
        pdfmetrics.registerFont(TTFont(name, f"{name}.ttf"))
