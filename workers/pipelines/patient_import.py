"""Bulk import of patients from a CSV file, in chunks: each row by itself, what is refused with its reason.

Messages carry row numbers. The file stays in PostgreSQL with the run and is erased when the run has ended well.
"""

from __future__ import annotations

import csv
import io
from typing import Any
from uuid import UUID

from celery.canvas import Signature
from pydantic import BaseModel, Field

from app.clinic import profiles, reports
from app.core.errors import Conflict, Invalid
from app.engines.inputs import Upload
from workers.registry import pipeline
from workers.steps import Step
from workers.tasks import task

ROWS = 5000
NEEDED = ("firstname", "lastname", "email", "mobile", "birthday", "address")
_parsed: dict[UUID, list[dict[str, str]]] = {}


class Patients(BaseModel):
    file: Upload = Field(title="CSV file with a header")
    size: int = Field(50, title="Rows of a chunk", ge=1, le=500)


def rows_of(text: str) -> list[dict[str, str]]:
    """The rows below the header; blank lines are no rows."""
    found = csv.DictReader(io.StringIO(text, newline=""))
    return [{str(name).strip(): value or "" for name, value in row.items() if isinstance(value, str)} for row in found]


@pipeline("patient-import", Patients, title="Import patients", roles=("admin", "staff"), private=True)
def patient_import(given: Patients) -> Signature:
    """Patients from a CSV file with a header: firstname, lastname, email, mobile, birthday, address are needed;
    midname, profession, patientid, username may be there. Rows that do not fit are refused and given back as a file."""
    numbers = [(number,) for number in range(len(rows_of(given.file.text)))]
    if not 0 < len(numbers) <= ROWS:
        return check_file.s()
    work = import_patient.chunks(numbers, given.size).group()
    for chunk in work.tasks:
        chunk.set(immutable=True)
    return check_file.s() | work | report_import.s()


async def _rows(step: Step) -> list[dict[str, str]]:
    """The run's rows, parsed once in this process. An input never changes."""
    if step.run_id not in _parsed:
        _parsed.clear()
        _parsed[step.run_id] = rows_of(Patients.model_validate(await step.input()).file.text)
    return _parsed[step.run_id]


@task("check_file")
async def check_file(step: Step) -> int:
    """How many rows there are. Raises Invalid for a file without rows, with too many, or without a needed column."""
    rows = await _rows(step)
    if not 0 < len(rows) <= ROWS:
        raise Invalid({"file": f"The file needs a header and from 1 to {ROWS} rows."})
    if missing := [name for name in NEEDED if name not in rows[0]]:
        raise Invalid({"file": f"The header lacks: {', '.join(missing)}."})
    return len(rows)


@task("import_patient")
async def import_patient(step: Step, number: int) -> dict[str, Any]:
    """One row: stored, or refused with its reason. Rows count as in a spreadsheet, the header being row 1."""
    row = (await _rows(step))[number]
    try:
        profile = profiles.read(2, {name: value for name, value in row.items() if value.strip()})
        assert isinstance(profile, profiles.Patient)  # noqa: S101 - role 2 is a patient
        await profiles.enrol(step.session, profile, row.get("username", "").strip()[:20])
    except (Invalid, Conflict) as refused:
        return {"row": number + 2, "why": refused.detail}
    return {"row": number + 2}


@task("report_import")
async def report_import(step: Step, chunks: list[list[dict[str, Any]]]) -> Any:  # noqa: ARG001 - no database
    """Only where rows were refused a file of them is written: that task takes this one's place."""
    rows = [row for chunk in chunks for row in chunk]
    refused = [row for row in rows if "why" in row]
    if refused:
        return write_refused.s(refused, len(rows) - len(refused))
    return {"added": len(rows), "refused_rows": 0}


@task("write_refused")
async def write_refused(step: Step, refused: list[dict[str, Any]], added: int) -> dict[str, Any]:
    """The refused rows as they came, with the reason, to mend and import again."""
    rows = await _rows(step)
    columns = [name for name in rows[0] if name != "why"]
    lines = [[rows[one["row"] - 2].get(name, "") for name in columns] + [one["why"]] for one in refused]
    path = reports.folder(step.run_id) / "refused.csv"
    await reports.write(path, [*columns, "why"], reports.listed(lines))
    return {
        "added": added,
        "refused_rows": len(refused),
        "refused": refused[:100],
        "file": path.name,
        "rows": len(refused),
    }
