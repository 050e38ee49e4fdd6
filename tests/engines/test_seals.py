"""The timeline is sealed: what was changed or taken away behind the service's back is found."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest
from sqlalchemy import text

from app.clinic import audit
from app.core.settings import settings
from app.db.session import reading, transaction
from app.engines import seals
from app.engines.seals import Verdict
from tests.conftest import as_owner
from tests.engines.conftest import value


@pytest.fixture(autouse=True)
def _files(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAMS_FILES__FOLDER", str(tmp_path))
    settings.cache_clear()


async def happen(*cases: str | None) -> None:
    for case in cases:
        async with transaction() as session:
            await audit.record(session, "comment.added", case=case, data={"text": "ä", "n": 1.5})


async def verdict(case: str | None = None) -> Verdict:
    async with reading() as session:
        return await seals.verify(session, case)


async def behind_its_back(*statements: str) -> None:
    """As somebody who owns the database and switches its own guard off."""
    for table in ("case_event", "case_seal"):
        await as_owner(f"alter table {table} disable trigger {table}_is_append_only")
    for statement in statements:
        await as_owner(statement)


async def test_each_event_is_sealed_once_in_the_chain_of_its_case_and_of_all() -> None:
    await happen("A-1", "A-2", None, "A-1")
    assert await seals.seal(limit=3) == 3
    assert (await verdict()).sealed == 3
    assert await seals.seal() == 1
    assert await seals.seal() == 0
    whole, one = await verdict(), await verdict("A-1")
    assert (whole.events, whole.sealed, whole.faults) == (4, 4, [])
    assert (one.events, one.sealed, one.intact) == (2, 2, True)


async def test_what_commits_late_is_sealed_too() -> None:
    async with transaction() as late:
        await audit.record(late, "comment.added", case="A-1")
        await happen("A-1", "A-2")
        assert await seals.seal() == 2
    assert await seals.seal() == 1
    assert (await verdict()).intact


async def test_of_processes_that_seal_at_once_one_does_it() -> None:
    await happen(*["A-1"] * 20)
    await asyncio.gather(*(seals.seal() for _ in range(8)))
    await seals.seal()
    assert (await verdict("A-1")).sealed == 20
    assert (await verdict()).intact


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ('update case_event set data = \'{"text": "b"}\' where id = 2', "it, or the one before it, was changed"),
        ("update case_event set at = at - interval '1 s' where id = 2", "it, or the one before it, was changed"),
        ("update case_event set actor_id = 7 where id = 2", "it, or the one before it, was changed"),
        ("delete from case_event where id = 2", "it was taken away"),
    ],
)
async def test_what_was_changed_or_taken_away_is_named(statement: str, why: str) -> None:
    await happen("A-1", "A-1", "A-1", "A-2")
    await seals.seal()
    await behind_its_back(statement)
    assert (await verdict("A-1")).faults == [(2, why)]
    assert (2, why) in (await verdict()).faults
    assert (await verdict("A-2")).intact


async def test_a_chain_that_was_made_anew_does_not_fit_the_signed_heads(tmp_path: Path) -> None:
    await happen("A-1", "A-1")
    await seals.seal()
    assert await seals.sign()
    assert not await seals.sign()  # nothing new
    await happen("A-1")
    await seals.seal()
    assert await seals.sign()
    file = tmp_path / seals.HEADS
    assert [orjson.loads(line)["n"] for line in file.read_bytes().splitlines()] == [2, 3]
    async with reading() as session:
        assert await seals.verify_heads(session) == []
    await behind_its_back(
        "delete from case_seal", "delete from case_event where id = 1", "alter table case_seal alter n restart"
    )
    while await seals.seal():
        pass
    assert (await verdict()).intact  # a forged chain fits itself
    async with reading() as session:
        assert [n for n, _ in await seals.verify_heads(session)] == [2, 3]
    file.write_bytes(file.read_bytes().replace(b'"n":3', b'"n":1'))
    async with reading() as session:
        assert (1, "its signature is not ours") in await seals.verify_heads(session)


@pytest.mark.parametrize("statement", ["update case_seal set hash = ''", "delete from case_seal"])
async def test_the_role_that_serves_cannot_change_a_seal(statement: str) -> None:
    await happen("A-1")
    await seals.seal()
    with pytest.raises(Exception, match="permission denied"):
        async with transaction() as session:
            await session.execute(text(statement))
    assert await value("select count(*) from case_seal") == 1
