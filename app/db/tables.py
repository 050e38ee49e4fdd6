"""Imports every module of tables, so that `Base.metadata` is whole for migrations."""

from app.db import care, outbox, people, pipelines, process, runs, timeline
from app.db.base import Base

metadata = Base.metadata
__all__ = ["care", "metadata", "outbox", "people", "pipelines", "process", "runs", "timeline"]
