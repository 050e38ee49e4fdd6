"""The Celery application of the workers: `celery -A workers.celery_app …` and `python -m workers.celery_worker`.

Its settings are those of `config.toml`, read by `app.engines.broker`; nothing is set here but what to load.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from celery import Celery
from celery.signals import import_modules, setup_logging, worker_process_init

import workers.pipelines
from app.core import log
from app.core.lifetime import die_with_parent_if_asked
from app.engines.broker import configured
from workers import liveness, transport

transport.serve()
app = configured(Celery("dams"))


SIGNS = (liveness.worker_lives, liveness.beat_lives)
"""What a worker and a beat do when they are ready; importing them connected them."""


@import_modules.connect
def load(**_: Any) -> None:
    """Import whatever declares a task."""
    importlib.import_module("workers.launch")
    for module in pkgutil.iter_modules(workers.pipelines.__path__, f"{workers.pipelines.__name__}."):
        importlib.import_module(module.name)


@setup_logging.connect
def use_our_log(**_: Any) -> None:
    """Celery leaves logging alone where this is connected."""
    log.configure()


@worker_process_init.connect
def own_loop(**_: Any) -> None:
    """A child of the pool gets a loop of its own: a forked one would share its parent's connections."""
    from workers.tasks import child

    die_with_parent_if_asked()
    child.start()
