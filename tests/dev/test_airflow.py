"""Airflow under `dams up`: there when it is asked for by name, with secrets of the state, and else not at all."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from app.dev import airflow
from app.dev.service import Service, Wanted
from app.dev.services import services
from app.dev.state import State

PARTS = {"airflow-migrate", "airflow", "airflow-scheduler", "airflow-dags"}


@pytest.fixture
def state(tmp_path: Path) -> State:
    made = State(tmp_path / "state")
    made.prepare()
    return made


def listed(state: State, *extra: str) -> dict[str, Service]:
    return {one.name: one for one in services(state, Wanted(front_end=False, extra=extra))}


def test_airflow_is_started_by_the_name_and_not_without(state: State) -> None:
    without, with_it = listed(state), listed(state, "airflow")
    assert set(with_it) - set(without) - {"airflow-install"} == PARTS
    assert "DAMS_AIRFLOW__URL" not in without["web"].environment
    assert with_it["web"].environment["DAMS_AIRFLOW__URL"] == f"http://127.0.0.1:{state.ports['airflow']}"
    assert with_it["web"].needs == without["web"].needs  # nothing waits for it


def test_an_airflow_of_ones_own_keeps_this_one_from_starting(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAMS_AIRFLOW_URL", "https://airflow.example")
    with_it = listed(state, "airflow")
    assert not any(name.startswith("airflow") for name in with_it)
    assert with_it["web"].environment["DAMS_AIRFLOW__URL"] == "https://airflow.example"
    assert "DAMS_AIRFLOW__PASSWORD" not in with_it["web"].environment


def test_its_data_is_on_the_embedded_postgresql_and_a_file_without_one(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
    password = state.secret("airflow_database")
    where = f"postgresql+psycopg2://airflow:{password}@127.0.0.1:{state.ports['postgresql']}/airflow"
    assert {listed(state, "airflow")[part].environment[name] for part in PARTS} == {where}
    monkeypatch.setenv("DAMS_PG_URL", "postgresql://of-ones-own/dams")
    assert listed(state, "airflow")["airflow"].environment[name] == f"sqlite:///{state.data('airflow')}/airflow.db"


async def test_its_passwords_are_the_states_and_open_to_their_owner_alone(state: State) -> None:
    part = listed(state, "airflow")["airflow"]
    assert part.prepare
    await part.prepare(lambda _note: None)
    path = part.folder / "passwords.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = json.loads(path.read_text())
    assert kept == {airflow.SERVICE: state.secret("airflow_dams"), airflow.KEEPER: state.secret("airflow_admin")}
    assert len({*kept.values(), state.secret("airflow_account")}) == 3
    assert not any(secret in " ".join(part.command) for secret in kept.values())


def test_a_part_runs_in_an_environment_of_its_own_and_needs_its_database(state: State) -> None:
    found = listed(state, "airflow")
    for name in PARTS:
        assert found[name].command[0] == str(airflow.FOLDER / "bin/python")
        assert found[name].environment["AIRFLOW_HOME"] == str(state.data("airflow"))
    assert all("airflow-migrate" in found[name].needs for name in PARTS - {"airflow-migrate"})


def test_an_environment_counts_only_if_it_was_made_from_this_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(airflow, "FOLDER", tmp_path)
    assert not airflow.is_installed()
    (tmp_path / ".stamp").write_text(airflow.digest())
    assert airflow.is_installed()
    monkeypatch.setattr(airflow, "LOCK", tmp_path / "other.lock")
    (tmp_path / "other.lock").write_text("apache-airflow==0\n")
    assert not airflow.is_installed()


def test_what_is_not_there_is_not_alive() -> None:
    assert not airflow.answers("http://127.0.0.1:1")
    assert not airflow.is_alive("http://127.0.0.1:1", "scheduler")
