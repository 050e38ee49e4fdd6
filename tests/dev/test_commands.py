"""The commands about this machine when there is nothing to do, or what is asked makes no sense."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dev.local import Local


@pytest.fixture
def idle(tmp_path: Path) -> Local:
    return Local(tmp_path)


def test_help_lists_the_commands_with_an_example(idle: Local) -> None:
    shown = idle.call("--help")
    assert shown.returncode == 0
    for command in ("up", "down", "status", "reset", "test", "migrate", "seed"):
        assert f"\n  {command} " in shown.stdout
    assert "dams up " in shown.stdout.partition("Examples:")[2]


def test_what_was_compiled_is_kept_aside_where_the_environment_forbids_it(tmp_path: Path) -> None:
    """Without it every process of `up` and of the tests compiles all that it imports."""
    kept = tmp_path / "kept"
    idle = Local(tmp_path, {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": str(kept)})
    assert idle.call("--help").returncode == 0
    assert [path.name for path in kept.rglob("app/core/root.*.pyc")] != []


def test_a_misspelt_command_is_answered_with_the_nearest(idle: Local) -> None:
    shown = idle.call("stauts")
    assert shown.returncode == 2
    assert "Did you mean 'status'?" in shown.stderr


def test_a_command_like_none_is_answered_with_where_the_list_is(idle: Local) -> None:
    shown = idle.call("xyzzy")
    assert shown.returncode == 2
    assert "`dams --help` lists the commands" in shown.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--prot", "8001"], "Did you mean '--port'?"),
        (["--port", "99999"], "99999 is not in the range 1<=x<=65535"),
        (["--scale", "relay"], "'relay' is not like relay=2"),
        (["--scale", "relay=-1"], "'relay=-1' is not like relay=2"),
    ],
)
def test_a_wrong_option_is_refused_with_its_cure(idle: Local, options: list[str], told: str) -> None:
    shown = idle.run("up", *options)
    assert shown.returncode == 2
    assert told in shown.stderr
    assert not idle.state.folder.exists()


@pytest.mark.parametrize(("option", "told"), [("--scale", "known are"), ("--with", "known are")])
def test_a_service_that_does_not_exist_is_answered_with_those_that_do(idle: Local, option: str, told: str) -> None:
    shown = idle.run("up", "--port", str(idle.port), option, "pigeon" + "=2" * (option == "--scale"))
    assert shown.returncode == 1
    assert f"dams: {option} pigeon: {told}" in shown.stderr
    assert idle.processes() == []


def test_where_nothing_runs_status_and_down_say_so(idle: Local) -> None:
    status, down = idle.run("status"), idle.run("down")
    assert (status.returncode, status.stdout) == (3, "nothing runs on this state\n")
    assert (down.returncode, down.stdout) == (0, "nothing runs on this state\n")
    assert not idle.state.folder.exists()


def test_reset_asks_and_takes_no_for_no(idle: Local) -> None:
    idle.state.prepare()
    shown = idle.run("reset", answer="n\n")
    assert shown.returncode == 1
    assert f"Delete {idle.state.folder} with all its data?" in shown.stdout
    assert idle.state.exists()


def test_reset_deletes_the_state_after_a_yes(idle: Local) -> None:
    idle.state.prepare()
    assert idle.run("reset", answer="y\n").returncode == 0
    assert not idle.state.folder.exists()
    assert idle.run("reset", "--yes").stdout == "there is no state to delete\n"


def test_a_folder_that_is_no_state_is_neither_deleted_nor_used(idle: Local) -> None:
    idle.state.folder.mkdir()
    (idle.state.folder / "thesis.txt").write_text("years of work")
    deleted, used = idle.run("reset", "--yes"), idle.run("up", "--port", str(idle.port))
    assert (deleted.returncode, used.returncode) == (1, 1)
    assert "is not a state of DAMS; nothing was deleted" in deleted.stderr
    assert "is not empty and no state of DAMS" in used.stderr
    assert [path.name for path in idle.state.folder.iterdir()] == ["thesis.txt"]
