"""What stands in clear in the stores and logs of the engines, and in what processes of ours print and count."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

from tests.conftest import RUN

PIECE, LONGEST = 1 << 24, 1 << 12
"""Bytes that are looked at together, and more than any word has that is looked for."""


def stores() -> dict[str, list[Path]]:
    """The files that the engines of the run keep and write, by engine; PostgreSQL is the clinic's own."""
    run = Path(os.environ[RUN])
    return {
        engine: [path for path in (run / engine).rglob("*") if path.is_file()]
        for engine in ("redis", "zeebe", "temporal")
    }


def printed() -> list[Path]:
    """What the processes that this one started print, where that is a file."""
    found: list[Path] = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(OSError, psutil.Error):
            output = Path(f"/proc/{process.pid}/fd/1")
            if output.stat().st_size and output.is_file():
                found.append(output)
    return found


def holding(words: Iterable[str], files: Iterable[Path]) -> dict[str, set[str]]:
    """In the files with which of *words* stands somewhere, in UTF-8 or UTF-16."""
    found: dict[str, set[str]] = {}
    sought = {word: (word.encode(), word.encode("utf-16-le")) for word in words}
    for path in files:
        for content in _content(path):
            for word, forms in sought.items():
                if any(content.find(form) >= 0 for form in forms):
                    found.setdefault(word, set()).add(path.name)
    return found


def _content(path: Path) -> Iterator[bytes]:
    """Pieces of a file, each with the end of the one before it; one that has gone meanwhile has none.

    Read and not mapped into memory: the kernel ends a process that looks at a part that was cut off meanwhile.
    """
    end = b""
    with contextlib.suppress(OSError), path.open("rb") as file:
        while read := file.read(PIECE):
            yield end + read
            end = (end + read)[-LONGEST:]
