"""What is built when: people sign in before the editor's libraries are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.dev import frontend
from app.dev.service import Wanted
from app.dev.services import services
from app.dev.state import State


@pytest.fixture
def stamps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(frontend, "STAMP", tmp_path / "all")
    monkeypatch.setattr(frontend, "PAGES_STAMP", tmp_path / "pages")
    return tmp_path


def needs(tmp_path: Path) -> dict[str, tuple[str, ...]]:
    state = State(tmp_path / "state")
    state.prepare()
    listed = services(state, Wanted())
    return {one.name: one.needs for one in listed if one.name in ("front-end", "editor", "web")}


def test_the_web_waits_for_what_its_pages_need_and_the_editor_for_the_web(stamps: Path) -> None:
    listed = needs(stamps)
    assert "front-end" in listed["web"]
    assert listed["editor"] == ("web",)
    assert "editor" not in listed["web"]


def test_what_is_built_is_not_built_again_until_a_source_changes(stamps: Path) -> None:
    (stamps / "pages").write_text(frontend.fingerprint())
    assert set(needs(stamps)) == {"web", "editor"}
    assert not frontend.is_built()
    (stamps / "all").write_text(frontend.fingerprint())
    assert set(needs(stamps)) == {"web"}
    (stamps / "all").write_text("of other sources")
    (stamps / "pages").write_text("of other sources")
    assert set(needs(stamps)) == {"web", "editor", "front-end"}
