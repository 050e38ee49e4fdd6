"""What a run costs the machine: CPU and memory of process trees from /proc, PostgreSQL's own counters."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")


def trees(roots: Mapping[str, int]) -> dict[str, tuple[float, float]]:
    """CPU seconds so far and proportional memory in MB, for each named process with all its descendants."""
    parents, ticks = _processes()
    return {name: _tree(root, parents, ticks) for name, root in roots.items()}


def _processes() -> tuple[dict[int, int], dict[int, int]]:
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it ended while we looked
                continue
            parents[int(entry.name)] = int(fields[1])
            ticks[int(entry.name)] = sum(map(int, fields[11:15]))  # its own and those of children it has reaped
    return parents, ticks


def _tree(root: int, parents: dict[int, int], ticks: dict[int, int]) -> tuple[float, float]:
    members = [pid for pid in parents if root in _line(pid, parents)]
    return sum(ticks[pid] for pid in members) / TICKS, sum(_pss(pid) for pid in members)


def _line(pid: int, parents: dict[int, int]) -> list[int]:
    line = [pid]
    while (parent := parents.get(line[-1], 0)) > 0:
        line.append(parent)
    return line


def _pss(pid: int) -> float:
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:  # another user's process, or it ended
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


@dataclass(frozen=True, slots=True)
class Counters:
    """PostgreSQL's counters at one moment. `statements` is None where pg_stat_statements is not to be had."""

    statements: int | None
    transactions: int
    wal_bytes: int
    size_bytes: int

    def since(self, before: Counters) -> dict[str, Any]:
        asked = None if None in (self.statements, before.statements) else _less(self.statements, before.statements)
        return {
            "statements": asked,
            "commits": self.transactions - before.transactions,
            "wal_bytes": self.wal_bytes - before.wal_bytes,
            "growth_bytes": self.size_bytes - before.size_bytes,
        }


def _less(after: int | None, before: int | None) -> int:
    return (after or 0) - (before or 0)


async def counters(url: str) -> Counters:
    """Read the counters of the database of *url*.

    `transactions` counts those that wrote: only they are given a number. Statements include BEGIN and COMMIT.
    """
    connection = await asyncpg.connect(url.replace("+asyncpg", ""), timeout=5)
    try:
        row = await connection.fetchrow(
            """select pg_snapshot_xmax(pg_current_snapshot())::text::bigint as transactions,
                      (pg_current_wal_insert_lsn() - '0/0')::bigint as wal,
                      pg_database_size(current_database()) as size"""
        )
        assert row is not None  # noqa: S101 - one row, always
        return Counters(await _statements(connection), row["transactions"], row["wal"], row["size"])
    finally:
        await connection.close()


async def analyze(url: str) -> None:
    """Let PostgreSQL look at tables that have just been filled, as autovacuum soon does.

    Until then it runs plans that were made for empty ones: what is measured is a service that has been at work.
    """
    connection = await asyncpg.connect(url.replace("+asyncpg", ""), timeout=5)
    try:
        await connection.execute("analyze")
    finally:
        await connection.close()


async def _statements(connection: asyncpg.Connection) -> int | None:
    try:
        await connection.execute("create extension if not exists pg_stat_statements")
        return await connection.fetchval(
            """select coalesce(sum(calls), 0)::bigint from pg_stat_statements s join pg_database d on d.oid = s.dbid
               where d.datname = current_database()"""
        )
    except asyncpg.PostgresError:  # not preloaded, or not ours to create
        return None
