"""Whom a fault may meet: only processes of this run, known by id, start time and command line just before."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

import psutil


class Foreign(RuntimeError):
    """The process is not the one that was meant"""


@dataclass(frozen=True, slots=True)
class Identity:
    """A process; `born` is when it started, in the kernel's clock. An id alone is given out again."""

    pid: int
    born: float


def identify(pid: int, born: float | None, command: list[str]) -> Identity:
    """The process *pid*, which must have started at *born*, run *command* and descend from this one.

    Raises :class:`Foreign`. A server that rewrites its command line still begins it with its program.
    """
    try:
        process = psutil.Process(pid)
        found, above = process.cmdline(), {parent.pid for parent in process.parents()}
        started = process.create_time()
    except psutil.Error as error:
        raise Foreign(f"process {pid} is not there") from error
    rewritten = found[:1] != command[:1] and " ".join(found).startswith(f"{command[0]} ")
    if found != command and not rewritten:
        raise Foreign(f"process {pid} is {' '.join(found)!r}")
    if started != born:
        raise Foreign(f"process {pid} is another one than was started")
    if os.getpid() not in above:
        raise Foreign(f"process {pid} was not started by this run")
    return Identity(pid, started)


def family(head: Identity) -> list[Identity]:
    """The process and all that it forked, itself first."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(head.pid)
        if process.create_time() == head.born:
            return [head, *(Identity(one.pid, one.create_time()) for one in process.children(recursive=True))]
    return [head]


def send(number: int, identities: Sequence[Identity]) -> None:
    """Send a signal to each; one that has ended meanwhile, or whose id is another's now, is left alone."""
    for one in identities:
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if psutil.Process(one.pid).create_time() == one.born:
                os.kill(one.pid, number)
