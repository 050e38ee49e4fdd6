"""What clients were told, kept by a process of its own: `python -m app.dev.chaos.ledger FILE` appends what it reads.

It holds its file and nothing else, so no fault of the service and no fault of the load can change what was written.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from app.core.lifetime import die_with_parent
from app.core.settings import ROOT

Told = dict[str, Any]
"""One answer as a client saw it."""


def keep(file: Path) -> None:
    """Append each line of standard input and have it on the disk before the next is read."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    while lines := sys.stdin.buffer.readline():
        os.write(descriptor, lines)
        os.fdatasync(descriptor)


def read(file: Path) -> list[Told]:
    """Every line, oldest first."""
    return [orjson.loads(line) for line in file.read_bytes().splitlines()] if file.exists() else []


class Ledger:
    """The pipe to the process that keeps a file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._process: asyncio.subprocess.Process | None = None

    async def open(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "app.dev.chaos.ledger",
            str(self.file),
            stdin=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            preexec_fn=die_with_parent,
            start_new_session=True,  # Ctrl-C is for the run, which closes the ledger when all is told
        )

    def tell(self, told: Mapping[str, Any]) -> None:
        if self._process is None or self._process.stdin is None:
            raise RuntimeError("the ledger is not open")
        self._process.stdin.write(orjson.dumps(dict(told)) + b"\n")

    async def close(self) -> list[Told]:
        """Wait until everything is on the disk, and read it."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            await self._process.wait()
        return await asyncio.to_thread(read, self.file)


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
