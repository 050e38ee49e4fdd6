"""README tells the truth: its walk runs as it is written, its links and its commands exist."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import PASSWORD_OF_ALL
from tests.serving import serving

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text()


def links(page: Path) -> list[str]:
    text = page.read_text()
    found = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text) + re.findall(r'src="([^"]+)"', text)
    return [link for link in found if "://" not in link]


def test_every_link_and_picture_of_the_documents_is_there() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    missing = [f"{page.name}: {link}" for page in pages for link in links(page) if not (page.parent / link).exists()]
    assert missing == []


def test_every_command_that_readme_names_exists() -> None:
    from app.cli.__main__ import gather

    named = set(re.findall(r"\./dams ([a-z][a-z-]*)", TEXT))
    assert {"up", "test", "down"} <= named
    assert named <= set(gather().commands)


def test_every_picture_says_what_it_shows_and_is_small() -> None:
    pictures = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", TEXT)
    assert len(pictures) >= 4
    assert [path for words, path in pictures if len(words) < 10] == []
    assert [path for _, path in pictures if (ROOT / path).stat().st_size > 200_000] == []


def test_readme_names_the_clinic_its_five_engines_and_the_modeler() -> None:
    assert "clinic" in TEXT.split("\n\n")[1]
    flows = {row.split("|")[1].split(",")[0].strip() for row in re.findall(r"^\|.*`.*\|$", TEXT, re.MULTILINE)}
    assert {"SpiffWorkflow", "Celery", "Zeebe", "Temporal", "Airflow"} <= flows
    assert re.search(r"Camunda Modeler as Camunda 7 diagrams, those for Zeebe as Camunda 8", TEXT)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_walk_by_curl_runs_as_it_is_written(clinic_template: str, tmp_path: Path) -> None:
    walk = re.search(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    assert walk
    with serving(clinic_template, tmp_path) as web:
        script = walk.group(1).replace("http://127.0.0.1:8000", web.url)
        given = os.environ | {"DAMS_DEMO_PASSWORD": PASSWORD_OF_ALL}
        done = subprocess.run(
            ["bash", "-e", "-c", script], cwd=ROOT, env=given, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-5:] == ["running", "running", "running", "completed", "Appointment made"]
