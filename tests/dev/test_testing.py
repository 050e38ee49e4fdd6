"""`dams test` itself: what it runs, that it fails when it should, and that nothing is left of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from app.core.lifetime import die_with_parent
from app.core.settings import ROOT
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def test_nothing_is_left_out_and_fast_leaves_out_only_what_is_marked() -> None:
    def collected(*command: str) -> set[str]:
        done = subprocess.run([*command, "--collect-only"], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return {line for line in done.stdout.splitlines() if "::" in line}

    every, fast = collected("./dams", "test", "-n0"), collected("./dams", "test", "--fast", "-n0")
    marked = collected(sys.executable, "-m", "pytest", "-m", "engine or browser or slow")
    assert every == collected(sys.executable, "-m", "pytest")
    assert len(every) > len(marked) > 10
    assert fast == every - marked


def clean() -> dict[str, str]:
    """The environment of a CI job: nothing of this run."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("DAMS_", "PYTEST_"))}


def leftovers(folder: Path) -> list[str]:
    """Command lines of what still lives with its files under *folder*."""
    found = list[str]()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command:
            found.append(command)
    return found


def run(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """`dams test` without a terminal, with its servers' folders under *folder*."""
    return subprocess.Popen(
        [ROOT / "dams", "test", *arguments],
        cwd=folder,
        env=clean() | {"TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=die_with_parent,
    )


@pytest.fixture
def folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="dams-test-of-test-"))


ONE = ("-n0", f"{ROOT}/tests/db/test_roles.py::test_the_service_and_its_tests_work_as_the_role_that_serves")


def test_without_a_terminal_it_starts_its_servers_runs_and_leaves_no_process(folder: Path) -> None:
    process = run(folder, "--fast", *ONE)
    said, _ = process.communicate(timeout=500)
    assert process.returncode == 0, said
    assert "1 passed" in said
    assert leftovers(folder) == []
    assert [path.name for path in folder.iterdir() if path.name.startswith("dams-test-")] == []


def test_a_failing_test_fails_the_run_and_leaves_no_process(folder: Path) -> None:
    wrong = folder / "test_wrong.py"
    wrong.write_text("def test_wrong(database_url: str) -> None:\n    assert database_url == 'right'\n")
    process = run(
        folder, "--fast", "-n0", f"--rootdir={ROOT}", "-c", f"{ROOT}/pyproject.toml", "-p", "tests.conftest", str(wrong)
    )
    said, _ = process.communicate(timeout=500)
    assert process.returncode == 1, said
    assert "1 failed" in said
    assert leftovers(folder) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["told to stop", "killed"])
def test_a_run_that_is_ended_leaves_no_process(folder: Path, number: signal.Signals) -> None:
    process = run(folder, "--fast", "-n0", f"{ROOT}/tests/db")
    wait_until(lambda: any("valkey-server" in line or "postgres" in line for line in leftovers(folder)))
    process.send_signal(number)
    process.communicate(timeout=500)
    wait_until(lambda: leftovers(folder) == [])


@pytest.mark.xdist_group("kept-together")
def test_a_group_stays_on_one_worker(request: pytest.FixtureRequest) -> None:
    """Whatever is shared by a group is taken by one test at a time only where the group's name is part of the id."""
    if os.environ.get("PYTEST_XDIST_WORKER"):
        assert request.node.nodeid.endswith("@kept-together")
