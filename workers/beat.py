"""Celery beat's process: `python -m workers.beat`. Only Celery's own housekeeping is scheduled here."""

from __future__ import annotations

from app.core.lifetime import die_with_parent_if_asked
from workers.celery_app import app

if __name__ == "__main__":
    die_with_parent_if_asked()
    app.start(["beat", "--scheduler", "workers.liveness:TickingScheduler", "--max-interval", "2", "--pidfile="])
