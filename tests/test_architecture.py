"""The rules of the house that no linter knows. A rule here fails with the place and what to do."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = [path for folder in ("app", "workers", "temporal") for path in (ROOT / folder).rglob("*.py")]
MODULE_LINES = 400


def tracked(*patterns: str) -> list[Path]:
    """The files git knows or would add, so that what is built or fetched does not count."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [path for line in listed.stdout.splitlines() if (path := ROOT / line).is_file()]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_module_is_longer_than_four_hundred_lines() -> None:
    long = {name(path): len(path.read_text().splitlines()) for path in SOURCE}
    assert {path: lines for path, lines in long.items() if lines > MODULE_LINES} == {}


def test_every_module_says_what_lives_in_it() -> None:
    assert [name(path) for path in SOURCE if not ast.get_docstring(ast.parse(path.read_text()))] == []


def test_only_the_command_line_prints() -> None:
    calls = [
        f"{name(path)}:{node.lineno}"
        for path in SOURCE
        if not name(path).startswith(("app/cli", "app/dev", "app/bench"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert calls == []


def test_money_is_never_a_float() -> None:
    text = (ROOT / "app/db/care.py").read_text()
    assert not re.search(r"Mapped\[float|Float\b|Double\b", text)


def is_broad(handler: ast.ExceptHandler) -> bool:
    caught = (
        {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)} if handler.type else {"Exception"}
    )
    again = isinstance(handler.body[-1], ast.Raise)
    return bool(caught & {"Exception", "BaseException"}) and not again


def test_a_broad_except_gives_its_reason() -> None:
    bare = [
        f"{name(path)}:{handler.lineno}"
        for path in SOURCE
        for handler in ast.walk(ast.parse(path.read_text()))
        if isinstance(handler, ast.ExceptHandler) and is_broad(handler)
        if not re.search(r"# (noqa: BLE001 - )?\w+ \w+", path.read_text().splitlines()[handler.lineno - 1])
    ]
    assert bare == []


def test_nothing_names_a_vague_role() -> None:
    vague = re.compile(r"(manager|helper|util|utils|misc|common|stuff)(\.py)?$", re.IGNORECASE)
    assert [name(path) for path in SOURCE if vague.search(path.stem)] == []


HOSTS = re.compile(
    r"(?:files\.pythonhosted|pypi|registry\.npmjs|npmjs|repo\d?\.maven|maven\.org|proxy\.golang)\.?[a-z.]*", re.I
)
FOREIGN_PATH = re.compile(r"(?<![\w.])/(?:work|farm|root)/")


@pytest.mark.parametrize("pattern", [HOSTS, FOREIGN_PATH], ids=["registry hosts", "paths of one machine"])
def test_no_tracked_file_names(pattern: re.Pattern[str]) -> None:
    found = [
        f"{name(path)}: {match.group()}"
        for path in tracked()
        if path != Path(__file__) and path.suffix not in {".png", ".ico", ".woff2"}
        for match in [pattern.search(path.read_text(errors="replace"))]
        if match
    ]
    assert found == []


def test_lock_files_carry_a_hash_for_every_package() -> None:
    for lock in ROOT.glob("requirements*.lock"):
        text = lock.read_text()
        packages = len(re.findall(r"^[a-zA-Z0-9].*==", text, re.MULTILINE))
        blocks = len(re.findall(r"^[a-zA-Z0-9][^\n]*\\\n    --hash=", text, re.MULTILINE))
        assert packages == blocks, name(lock)


def test_there_is_one_migration_head() -> None:
    from alembic.script import ScriptDirectory

    from app.db.migrate import configuration

    heads = ScriptDirectory.from_config(configuration("postgresql+asyncpg://unused")).get_heads()
    assert len(heads) == 1


async def test_the_migrations_make_the_tables_that_the_code_declares(owner_url: str) -> None:
    import asyncio

    from alembic import command

    from app.db.migrate import configuration

    await asyncio.to_thread(command.check, configuration(owner_url))


async def test_the_first_migration_can_be_undone(owner_url: str) -> None:
    import asyncio

    from app.db import migrate

    await asyncio.to_thread(migrate.downgrade, owner_url, "base")
    await asyncio.to_thread(migrate.upgrade, owner_url)


def test_every_place_that_the_recipes_name_exists() -> None:
    text = (ROOT / "docs/recipes.md").read_text()
    places = re.findall(r"^\|[^|]*\| `([^`]+)`", text, re.MULTILINE)
    assert len(places) >= 5
    missing = [place for place in places if not (ROOT / re.sub(r"<[^>]+>.*$", "", place)).exists()]
    assert missing == []


def test_every_shipped_model_passes_its_own_checks() -> None:
    from app.engines.spiff.specs import BundleFile, check_bundle

    for path in sorted((ROOT / "bpmn/spiff").glob("*.bpmn")):
        report = check_bundle([BundleFile(path.name, path.read_bytes())])
        assert [problem for problem in report.problems if problem.severity == "error"] == [], path.name
        assert report.models, path.name


REQUIREMENT = re.compile(r"^\| ([A-J]\d+|ch\d+\.\d+) \|[^|]+\| ([^|]*)\|$", re.MULTILINE)


def test_every_requirement_row_names_tests_that_exist() -> None:
    rows = REQUIREMENT.findall((ROOT / "docs/requirements.md").read_text())
    assert rows
    missing = []
    for row, cell in rows:
        for test in re.findall(r"`([^`]+)`", cell):
            path, _, function = test.partition("::")
            if not (ROOT / path).is_file() or (function and f"def {function}(" not in (ROOT / path).read_text()):
                missing.append(f"{row}: {test}")
    assert missing == []


SHORT = re.compile(r"^\| ([A-J]\d+(?:, [A-J]\d+)*) \| [^|`]+ \| [^|`]+ \|$", re.MULTILINE)
MUST = {
    *(f"{section}{n}" for section, last in (("B", 15), ("D", 8), ("E", 16), ("G", 14), ("I", 10), ("J", 7))
      for n in range(1, last + 1)),
    *(f"F{n}" for n in (1, 5, 8, 9, 10, 11, 15, 16)),
    *(f"C{n}" for n in range(10, 15)),
    *("A1", "A2", "A3", "A6", "H3", "H5", "H6", "H11"),
}  # fmt: skip
SHOULD = {"E17", "G15", "G16", "H7", "H8", *(f"F{n}" for n in range(1, 18))}


def test_every_requirement_of_the_engines_is_held_or_said_to_fall_short() -> None:
    text = (ROOT / "docs/requirements.md").read_text()
    held = {row for row, cell in REQUIREMENT.findall(text) if "`tests/" in cell}
    short = {row for cell in SHORT.findall(text) for row in cell.split(", ")}
    assert MUST - held == set()
    assert SHOULD - held - short == set()
    assert held & short == set(), "a row is held or falls short"


def columns() -> list[tuple[str, Any]]:
    from app.db.tables import metadata

    found = [(f"{table.name}.{column.name}", column.type) for table in metadata.tables.values() for column in table.c]
    assert len(found) > 100
    return found


def test_no_time_is_stored_without_its_zone_and_no_figure_as_a_float() -> None:
    from sqlalchemy import DateTime, Float

    naive = [place for place, kind in columns() if isinstance(kind, DateTime) and not kind.timezone]
    floats = [place for place, kind in columns() if isinstance(kind, Float)]
    assert (naive, floats) == ([], [])


def asked_effects() -> dict[str, str]:
    """Every kind that `outbox.enqueue` is called with, and where; a kind put together at run time as its beginning."""
    found = dict[str, str]()
    for path in SOURCE:
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        for call in calls:
            if ast.unparse(call.func) == "outbox.enqueue":
                found[kind_of(path, call.args[1])] = f"{name(path)}:{call.lineno}"
    return found


def kind_of(path: Path, node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return ast.literal_eval(node.values[0])
    if isinstance(node, ast.Constant):
        return str(node.value)
    module = importlib.import_module(name(path).removesuffix(".py").replace("/", "."))
    return eval(ast.unparse(node), vars(module))  # noqa: S307 - a constant's name in our own source


def test_every_effect_that_is_asked_for_is_one_that_something_sends() -> None:
    from app.engines import relay
    from app.engines.senders import senders

    asked = asked_effects()
    loaded = {module.__name__ for module in relay.SENDING}
    assert [kind for kind, send in senders.items() if send.__module__ not in loaded] == []
    assert "mail" in asked
    orphans = {kind: place for kind, place in asked.items() if not any(one.startswith(kind) for one in senders)}
    assert orphans == {}
    assert [kind for kind in senders if not any(kind.startswith(one) for one in asked)] == []


def test_every_job_type_of_a_shipped_model_has_a_handler() -> None:
    from workers import jobs

    drawn = {
        match: name(path)
        for path in (ROOT / "bpmn/zeebe").glob("*.bpmn")
        for match in re.findall(r'<zeebe:taskDefinition type="([^"=]+)"', path.read_text())
    }
    assert drawn
    assert {kind: place for kind, place in drawn.items() if kind not in jobs.load()} == {}


def test_a_second_handler_of_a_job_type_is_refused() -> None:
    from workers import jobs

    first = next(iter(jobs.load().values()))
    with pytest.raises(RuntimeError, match=first.type):
        jobs.job(first.type, first.given, first.answer)(first.function)


def test_every_task_that_is_sent_by_name_is_one_of_the_workers_and_every_queue_is_consumed() -> None:
    from app.engines import pipelines
    from workers.celery_app import app, load

    load()
    app.finalize()
    sent = {value for key, value in vars(pipelines).items() if key.isupper() and str(value).startswith("dams.")}
    assert {pipelines.LAUNCH, pipelines.UNDO} <= sent
    assert sent <= set(app.tasks)
    # The worker names no queue, so it takes from each that is declared; a task of another queue would lie for ever.
    assert "-Q" not in (ROOT / "workers/celery_worker.py").read_text()
    declared = set(app.amqp.queues)
    assert [task.name for task in app.tasks.values() if getattr(task, "queue", None) not in {None, *declared}] == []
    assert not app.conf.task_routes


def test_every_folder_of_tests_is_a_package() -> None:
    """Two test modules of one name in folders that are no packages stop the whole run at collection."""
    folders = {path.parent for path in tracked("tests/*.py")}
    assert [name(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []
