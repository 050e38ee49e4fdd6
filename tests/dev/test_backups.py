"""The drill: a backup goes into an empty server, row for row, and what engines had in hand is asked for once more."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from asyncio import to_thread
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from app.core.actor import Actor
from app.core.settings import ROOT
from app.db.session import transaction
from app.dev import backups
from app.dev.backups import CannotRestore
from app.engines import relay, runs, seals
from tests import drawing
from tests.conftest import cluster, drop, own_database
from tests.engines.spiff.test_instances import deploy, start
from tests.engines.spiff.test_jobs import announce, asked, service

CHANGED = {"worker_heartbeat", "outbox", "engine_run"}
"""What a restore changes: no process lives yet, and what is under way is asked for again."""


@pytest.fixture
async def clinic(monkeypatch: pytest.MonkeyPatch, clinic_template: str, _settings: None) -> AsyncIterator[str]:
    """A demo clinic, as its owner sees it."""
    async with own_database(monkeypatch, clinic_template) as url:
        yield cluster().url(url.rpartition("/")[2])


@contextlib.asynccontextmanager
async def empty() -> AsyncIterator[str]:
    name = f"t_{uuid4().hex}"
    await cluster().create_database(name)
    try:
        yield cluster().url(name)
    finally:
        await drop(name)


async def hashes(url: str) -> dict[str, str]:
    """A digest of the rows of each table, whatever their order."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        tables = await connection.fetch("select tablename from pg_tables where schemaname = 'public'")
        digest = 'select md5(string_agg(t::text, $1 order by t::text)) from "{}" t'
        return {name: await connection.fetchval(digest.format(name), "\n") for (name,) in tables}
    finally:
        await connection.close()


async def value(url: str, sql: str) -> object:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_the_rows_of_every_table_come_back_as_they_were(clinic: str, tmp_path: Path) -> None:
    files = tmp_path / "files"
    (files / "a").mkdir(parents=True)
    (files / "a/report.csv").write_text("docid,hours\n")
    await seals.seal()
    manifest = await to_thread(backups.save, clinic, files, tmp_path / "b.tar")
    assert (tmp_path / "b.tar").stat().st_mode & 0o777 == 0o600
    assert set(manifest["sha256"]) == {"database.dump", "files/a/report.csv"}
    before = await hashes(clinic)
    async with empty() as other:
        await to_thread(backups.restore, other, tmp_path / "other", tmp_path / "b.tar")
        after = await hashes(other)
        assert set(after) == set(before)
        assert {name for name in before if before[name] != after[name]} <= CHANGED
        assert after["case_seal"] == before["case_seal"] != ""
    assert (tmp_path / "other/a/report.csv").read_text() == "docid,hours\n"


async def test_what_an_engine_had_in_hand_is_asked_for_once_more(staff_of: Actor, clinic: str, tmp_path: Path) -> None:
    await announce("count")
    await deploy(staff_of, drawing.sequence("Own", service(inner=asked("docid", "HSP-1"))))
    for _ in range(2):
        await start(staff_of, "Own")
    async with transaction() as session:
        open_run, ended = await runs.newest(session, "celery")
        await runs.began(session, open_run.id)
        await runs.completed(session, ended.id, {})
    for effect in await relay.claim(100):
        if effect.kind == runs.TOLD:
            await relay.deliver(effect)
    await _send_all(clinic)
    await to_thread(backups.save, clinic, tmp_path / "none", tmp_path / "b.tar")
    async with empty() as other:
        await to_thread(backups.restore, other, tmp_path / "other", tmp_path / "b.tar")
        again = "select array_agg(payload ->> 'run') from outbox where state = 'pending' and kind = 'celery-pipeline'"
        assert await value(other, again) == [str(open_run.id)]
        assert await value(other, "select array_agg(status order by id) from engine_run") == ["completed", "requested"]
        assert open_run.id > ended.id


async def _send_all(url: str) -> None:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    await connection.execute("update outbox set state = 'sent', sent_at = now()")
    await connection.close()


@pytest.fixture
async def staff_of(clinic: str) -> Actor:
    found = await value(clinic, "select id from login where username = 'staff'")
    assert isinstance(found, int)
    return Actor(found, "staff", "Staff", frozenset({"staff"}))


async def test_nothing_is_restored_over_something_and_nothing_damaged(clinic: str, tmp_path: Path) -> None:
    backup = tmp_path / "b.tar"
    await to_thread(backups.save, clinic, tmp_path / "none", backup)
    with pytest.raises(CannotRestore, match="the database is not empty"):
        await to_thread(backups.restore, clinic, tmp_path / "other", backup)
    async with empty() as other:
        (tmp_path / "taken").mkdir()
        (tmp_path / "taken/x").touch()
        with pytest.raises(CannotRestore, match="taken is not empty"):
            await to_thread(backups.restore, other, tmp_path / "taken", backup)
        content = bytearray(backup.read_bytes())
        content[len(content) // 2] ^= 1
        (tmp_path / "damaged.tar").write_bytes(content)
        with pytest.raises(CannotRestore, match=r"is damaged: database\.dump"):
            await to_thread(backups.restore, other, tmp_path / "other", tmp_path / "damaged.tar")
        (tmp_path / "text.tar").write_text("no tar")
        with pytest.raises(CannotRestore, match="is no backup of DAMS"):
            await to_thread(backups.restore, other, tmp_path / "other", tmp_path / "text.tar")
        assert await value(other, "select count(*) from pg_tables where schemaname = 'public'") == 0


def dams(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app.cli", *arguments]
    kept = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    return subprocess.run(command, env=kept, capture_output=True, text=True, check=False)


async def test_the_commands_save_a_database_and_bring_it_into_a_new_state(clinic: str, tmp_path: Path) -> None:
    backup, state = str(tmp_path / "b.tar"), tmp_path / "state"
    files = {"DAMS_FILES__FOLDER": str(tmp_path / "files")}
    saved = dams("backup", backup, "--settings", DAMS_DATABASE__OWNER_URL=clinic, **files)
    assert (saved.returncode, "revision" in saved.stdout) == (0, True), saved.stderr
    nothing = dams("backup", backup, "--state", str(state))
    assert (nothing.returncode, "nothing runs on" in nothing.stderr) == (1, True)
    for expected in (0, 1):  # the second time there is something already
        done = dams("restore", backup, "--state", str(state))
        assert done.returncode == expected, done.stderr
    assert "the database is not empty" in done.stderr
    async with empty() as other:
        serving = cluster().serving_url(other.rpartition("/")[2])
        given = {"DAMS_DATABASE__OWNER_URL": other, "DAMS_DATABASE__URL": serving, **files}
        done = dams("restore", backup, "--settings", **given)
        assert done.returncode == 0, done.stderr
        assert await value(serving, "select count(*) from login") == await value(clinic, "select count(*) from login")
