"""The Celery worker's process: `python -m workers.celery_worker`."""

from __future__ import annotations

import os
import socket

from app.core.lifetime import die_with_parent_if_asked
from workers.celery_app import app

if __name__ == "__main__":
    die_with_parent_if_asked()
    name = f"dams-{os.getpid()}@{socket.gethostname()}"
    app.worker_main(["worker", "--hostname", name, "--without-mingle", "--without-gossip"])
