"""Reports as CSV files: RFC 4180, every column, no cell that a spreadsheet would take for a formula."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import os
import zipfile
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable
from datetime import date, datetime
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from sqlalchemy import text

from app.core.errors import NotFound
from app.core.settings import settings
from app.db.session import Session

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters of a cell that OWASP's "CSV Injection" page names; such a cell gets an apostrophe before it."""
TABLES = {"administrator": "dams_admin.csv", "patient": "dams_patient.csv", "doctor": "dams_doc.csv"}
"""The specification's three backups."""


def folder(run_id: UUID) -> Path:
    """Where a run's files are: one folder each, so that runs at the same time don't mix."""
    return Path(settings().files.folder).resolve() / str(run_id)


def cell(value: object) -> str:
    """A value as it stands in a CSV file."""
    if value is None:
        return ""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bool):
        return str(value).lower()
    shown = str(value)
    return f"'{shown}" if isinstance(value, str) and shown.startswith(FORMULA) else shown


async def write_table(session: Session, table: str, path: Path) -> int:
    """Write a whole table with its header; the number of rows. An empty table is its header alone."""
    async with session.stream(text(f"select * from {table} order by id")) as found:  # noqa: S608 - names of our own
        return await write(path, found.keys(), found)


async def write(path: Path, columns: Iterable[str], rows: AsyncIterable[Any]) -> int:
    """Write a CSV file, whole or not at all; the number of rows below its header."""
    count = 0
    with whole(path) as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(list(columns))
        async for row in rows:
            writer.writerow([cell(value) for value in row])
            count += 1
    return count


@contextlib.contextmanager
def whole(path: Path) -> Generator[IO[str]]:
    """A text file to write that appears under its name when it is complete and on the disk, or never."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(unfinished, "w", encoding="utf-8", newline="", opener=_private) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


async def listed(rows: Iterable[Iterable[Any]]) -> AsyncGenerator[Iterable[Any]]:
    """Rows that are in memory, for :func:`write`."""
    for row in rows:
        yield row


def archive(run_id: UUID, name: str) -> tuple[str, int]:
    """Pack the run's CSV files and a manifest of their SHA-256 into one ZIP; its name and how many files it holds."""
    files = sorted(folder(run_id).glob("*.csv"))
    manifest = "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)
    unfinished = folder(run_id) / f".{name}.{os.getpid()}"
    try:
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as packed:
            for file in files:
                packed.write(file, file.name)
            packed.writestr("SHA256SUMS", manifest)
        unfinished.chmod(0o600)
        unfinished.replace(folder(run_id) / name)
    finally:
        unfinished.unlink(missing_ok=True)
    return name, len(files)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def open_file(run_id: UUID, name: str) -> Path:
    """A finished file of a run. Raises :class:`NotFound`; a name with a path in it is never found."""
    path = folder(run_id) / name
    if name.startswith(".") or Path(name).name != name or not path.is_file():
        raise NotFound("There is no such file of this run.")
    return path
