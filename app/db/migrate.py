"""Bring a database to the newest schema. Runs Alembic in process; there is no `alembic.ini`."""

from __future__ import annotations

import asyncio

from alembic import command
from alembic.config import Config

from app.core.settings import ROOT, Database
from app.db import roles


def configuration(url: str) -> Config:
    """Alembic's configuration for the database at *url* (``postgresql+asyncpg://…``)."""
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    config.attributes["url"] = url
    return config


def upgrade(url: str, revision: str = "head") -> None:
    """Apply the missing migrations. Safe to call from several processes: an advisory lock lets one work."""
    command.upgrade(configuration(url), revision)


def prepare(database: Database) -> None:
    """Bring the settings' database to the newest schema, as its owner, and let the role that serves work with it."""
    owner = database.owner_url or database.url
    upgrade(owner)
    asyncio.run(roles.admit(owner, database.url))


def downgrade(url: str, revision: str) -> None:
    command.downgrade(configuration(url), revision)
