"""The rules of the house that no linter knows. A rule here fails with the place and what to do."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

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
