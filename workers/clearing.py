"""What is kept of ended pipeline runs for `pipelines.keep_days`: their steps, files and inputs. Then it goes."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from uuid import UUID

from sqlalchemy import text

from app.core.log import log
from app.core.settings import settings
from app.db.session import reading, transaction
from workers.tasks import child, plain

EVERY_SECONDS = 3600.0
_OLD = "r.engine = 'celery' and r.ended_at < now() - make_interval(days => :days)"
_STEPS = text(f"""
    delete from pipeline_step s where exists (select from engine_run r where r.id = s.run_id and {_OLD})
    or not exists (select from engine_run r where r.id = s.run_id)
       and s.began_at < now() - make_interval(days => :days)
""")  # noqa: S608 - constants of this module
_INPUTS = text(f"update engine_run r set input = '{{}}'::jsonb where {_OLD} and r.input <> '{{}}'::jsonb")  # noqa: S608
_WITH_FILES = text(f"select r.id from engine_run r where {_OLD} and r.id = any(:ids)")  # noqa: S608


@plain("dams.clear", ignore_result=True)
def clear() -> int:
    """Beat asks for it once an hour; a run that is still open keeps everything."""
    return child.run(cleared())


async def cleared() -> int:
    """Clear away; how many runs lost their files."""
    given = {"days": settings().pipelines.keep_days}
    async with transaction() as session:
        await session.execute(_STEPS, given)
        await session.execute(_INPUTS, given)
    folders = await asyncio.to_thread(_folders)
    async with reading() as session:
        rows = await session.execute(_WITH_FILES, given | {"ids": list(folders)})
        old = [folders[row.id] for row in rows]
    for folder in old:
        await asyncio.to_thread(shutil.rmtree, folder)
        log.info("the files of a run are cleared away", run=folder.name)
    return len(old)


def _folders() -> dict[UUID, Path]:
    """The folders of runs, by run; whatever else lies there is not ours to touch."""
    base = Path(settings().files.folder).resolve()
    if not base.is_dir():
        return {}
    found: dict[UUID, Path] = {}
    for path in base.iterdir():
        try:
            found[UUID(path.name)] = path
        except ValueError:
            continue
    return found
