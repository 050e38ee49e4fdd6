"""Settings: one place for each, no misspelt name goes unnoticed, and which of two values wins."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from app.core.settings import ROOT, Settings, settings

CONFIG = ROOT / "config.toml"


def declared() -> dict[str, dict[str, object]]:
    """What the classes say, without a file or the environment."""
    sections = {name: field.annotation() for name, field in Settings.model_fields.items() if field.annotation}
    return {
        name: {key: _plain(value) for key, value in section.model_dump().items()} for name, section in sections.items()
    }


def _plain(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def test_the_file_and_the_classes_name_the_same_settings_with_the_same_defaults() -> None:
    assert tomllib.loads(CONFIG.read_text()) == declared()


def test_every_setting_in_the_file_gives_its_reason() -> None:
    lines = [line for line in CONFIG.read_text().splitlines() if re.match(r"\w+ = ", line)]
    leaves = [inner for section in declared().values() for inner in section.values()]
    assert len(lines) == sum(len(leaf) if isinstance(leaf, dict) and leaf else 1 for leaf in leaves)
    assert [line for line in lines if not re.search(r" # \S.{5,}$", line)] == []


def test_no_secret_has_a_default() -> None:
    secret = {
        f"{name}.{key}": declared()[name][key]
        for name, field in Settings.model_fields.items()
        for key, inner in field.annotation.model_fields.items()  # type: ignore[union-attr]
        if inner.annotation is SecretStr
    }
    assert {"security.secret_key", "mail.password"} <= set(secret)
    assert set(secret.values()) == {""}


@pytest.mark.parametrize("text", ["[web]\nporrt = 1\n", "[webb]\nport = 1\n", "[web]\ndebug = 'perhaps'\n"])
def test_a_file_with_a_name_or_value_that_makes_no_sense_stops_the_start(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.toml").write_text(text)
    monkeypatch.setenv("DAMS_CONFIG", str(tmp_path / "config.toml"))
    with pytest.raises(ValidationError):
        settings()


@pytest.mark.parametrize("name", ["DAMS_WEB__PORRT", "DAMS_WEBB__DEMO"])
def test_a_misspelt_variable_stops_the_start_and_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(ValidationError, match=name.rpartition("_")[2].lower() if "PORRT" in name else "webb"):
        settings()


def test_the_environment_wins_over_a_secret_file_which_wins_over_the_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "DAMS_MAIL__PASSWORD").write_text("from a file")
    (tmp_path / "DAMS_MAIL__USERNAME").write_text("from a file")
    monkeypatch.setenv("DAMS_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("DAMS_MAIL__USERNAME", "from the environment")
    mail = settings().mail
    assert (mail.password.get_secret_value(), mail.username) == ("from a file", "from the environment")
    assert mail.sender == declared()["mail"]["sender"]


def test_a_folder_of_secrets_that_is_not_there_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAMS_SECRETS_DIR", str(tmp_path / "nothing"))
    with pytest.raises(Exception, match="nothing"):
        settings()


def test_a_secret_is_not_shown_where_settings_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAMS_MAIL__PASSWORD", "hush-hush")
    assert "hush-hush" not in repr(settings())
