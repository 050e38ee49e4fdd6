"""Structured logs on standard error: readable on a terminal, JSON lines in production. Never patient data.

Values are rendered as JSON or quoted, so a line end in a value cannot forge a line of the log.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

from app.core.settings import settings

log: Any = structlog.get_logger("dams")


def configure() -> None:
    """Set up this process's log from the settings. Called once, where a process begins."""
    level = logging.getLevelNamesMapping().get(settings().log.level.upper(), logging.INFO)
    renderer = (
        structlog.processors.JSONRenderer()
        if settings().log.json_lines
        else structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"])
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
