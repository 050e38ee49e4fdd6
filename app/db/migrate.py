"""Bring a database to the newest schema. Runs Alembic in process; there is no `alembic.ini`."""

from __future__ import annotations

from alembic import command
from alembic.config import Config

from app.core.settings import ROOT


def configuration(url: str) -> Config:
    """Alembic's configuration for the database at *url* (``postgresql+asyncpg://…``)."""
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    config.attributes["url"] = url
    return config


def upgrade(url: str, revision: str = "head") -> None:
    """Apply the missing migrations. Safe to call from several processes: an advisory lock lets one work."""
    command.upgrade(configuration(url), revision)


def downgrade(url: str, revision: str) -> None:
    command.downgrade(configuration(url), revision)
