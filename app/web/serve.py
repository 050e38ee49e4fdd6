"""Serve the web: `python -m app.web.serve` takes what `granian` takes.

Granian forks its workers, and what is imported before is shared memory in all of them: two workers that import for
themselves hold about twice as much.
"""

from __future__ import annotations

import ctypes
import gc

from granian.cli import entrypoint

from app.web import rsgi

_M_MMAP_THRESHOLD = -3
"""A parameter of glibc's `mallopt(3)`."""


COLLECTIONS = (5_000, 20, 50)
"""A request makes some thousands of objects and lets go of nearly all by itself: looking for cycles after every 700
took a tenth of the processor's time."""


def return_large_blocks() -> None:
    """Let glibc give blocks of 1 MiB and more back to the system when they are freed.

    Left alone it raises that bound to the largest block it has seen, and each thread that once checked a password keeps
    the 19 MiB of argon2: hundreds of megabytes in a worker with 32 threads. Other C libraries have no such call.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_M_MMAP_THRESHOLD, 1024 * 1024)


def serve() -> None:
    """Import what a worker needs and make the application, then do what the command line says.

    Raises :class:`app.web.factory.NotSafeToStart`.
    """
    return_large_blocks()
    rsgi.made()
    gc.collect()
    gc.freeze()  # a collection in a worker would write to, and so copy, every page of what is shared
    gc.set_threshold(*COLLECTIONS)
    entrypoint()


if __name__ == "__main__":
    serve()
