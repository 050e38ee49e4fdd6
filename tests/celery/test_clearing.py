"""What ended runs leave behind goes after its time, and nothing else does."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app.clinic import reports
from app.core.settings import settings
from app.db.session import transaction
from app.engines import runs
from tests.celery.conftest import value
from workers.clearing import cleared


async def make(days_ago: int | None) -> UUID:
    """A run with input, a step and a file, ended so long ago, or still open."""
    run_id = uuid4()
    async with transaction() as session:
        await runs.request(session, "celery", "backup", {"who": 1}, run_id=run_id, external_id=str(run_id))
        if days_ago is not None:
            await runs.completed(session, run_id)
        await session.execute(
            text("update engine_run set ended_at = ended_at - make_interval(days => :days) where id = :id"),
            {"days": days_ago or 0, "id": run_id},
        )
        await session.execute(
            text("""insert into pipeline_step (run_id, step, task, state, attempts, task_id, worker, began_at)
                    values (:id, '1', 'write', 'done', 1, 't', 'w', now() - interval '100 d')"""),
            {"id": run_id},
        )
    folder = reports.folder(run_id)
    folder.mkdir(parents=True)
    (folder / "dams_doc.csv").write_text("id\n")
    return run_id


async def left(run_id: UUID) -> tuple[bool, bool, bool]:
    """Whether steps, input and files of a run are there."""
    steps = await value("select count(*) from pipeline_step where run_id = :id", id=run_id)
    given = await value("select input <> '{}'::jsonb from engine_run where id = :id", id=run_id)
    return bool(steps), given, reports.folder(run_id).exists()


@pytest.mark.usefixtures("database_url")
async def test_what_ended_long_ago_goes_and_what_is_young_or_open_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAMS_FILES__FOLDER", str(tmp_path))
    settings.cache_clear()
    (tmp_path / "not-a-run").mkdir()
    old, young, open_one = await make(31), await make(29), await make(None)
    assert await cleared() == 1
    assert await left(old) == (False, False, False)
    assert await left(young) == await left(open_one) == (True, True, True)
    assert (tmp_path / "not-a-run").exists()
    assert await value("select status from engine_run where id = :id", id=old) == "completed"
    assert await cleared() == 0
