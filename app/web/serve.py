"""Serve the web: `python -m app.web.serve` takes what `granian` takes.

Granian forks its workers, and what is imported before is shared memory in all of them: two workers that import for
themselves hold about twice as much.
"""

from __future__ import annotations

import gc

from granian.cli import entrypoint

from app.web.factory import blueprints


def serve() -> None:
    """Import what a worker needs, then do what the command line says."""
    blueprints()
    gc.collect()
    gc.freeze()  # a collection in a worker would write to, and so copy, every page of what is shared
    entrypoint()


if __name__ == "__main__":
    serve()
