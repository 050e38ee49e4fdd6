"""What PostgreSQL does for a page: its statements and their plans, as auto_explain writes them into its log."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import asyncpg

SETTINGS = {
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_buffers": "on",
    "auto_explain.log_parameter_max_length": "0",
}
_ENTRY = re.compile(r"LOG: +duration: ([\d.]+) ms +plan:\n((?:\t.*\n|\n)+)")
_PLAN = re.compile(r"^\S.*\(cost=", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Query:
    """One statement, how long it took (ms) and PostgreSQL's plan with what really happened."""

    ms: float
    sql: str
    plan: str


async def switch_on(url: str) -> None:
    """From now on the server of *url* (the owner's) writes down every plan; it is to be thrown away afterwards."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""), timeout=30)
    try:
        for name, value in SETTINGS.items():
            await connection.execute(f"alter system set {name} = {value}")
        await connection.execute("select pg_reload_conf()")
    finally:
        await connection.close()


def read(log: Path, offset: int) -> list[Query]:
    """What was written from *offset* on, the slowest first."""
    with log.open("rb") as file:
        file.seek(offset)
        written = file.read().decode(errors="replace")
    return sorted(parse(written), key=lambda query: -query.ms)


def parse(written: str) -> list[Query]:
    """The statements in a piece of the log, in its order."""
    found: list[Query] = []
    for took, body in _ENTRY.findall(written):
        lines = "\n".join(line.removeprefix("\t") for line in body.splitlines())
        plan = _PLAN.search(lines)
        if plan is not None:
            sql = " ".join(lines[: plan.start()].removeprefix("Query Text:").split())
            found.append(Query(float(took), sql, lines[plan.start() :].rstrip()))
    return found
