"""A case as a bundle that may leave the clinic: what happened, in which models, and nothing about the patient."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any, cast

import click

from app.cli import output
from app.cli.connection import Connection, connected, part

KEPT = frozenset(
    "run name element n kind code document payment what".split()  # noqa: SIM905
)
"""Members of an event's data that name things of DAMS. Whatever else stands there may be about the patient."""
EXAMPLES = """
\b
Examples:
  dams export-case A-1042                writes A-1042.zip
  dams export-case A-1042 -o trouble.zip --url https://dams.example
"""


class People:
    """Names of people as `person 1`, `person 2`, …: who is the same stays the same."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def __call__(self, name: str | None) -> str | None:
        return self._known.setdefault(name, f"person {len(self._known) + 1}") if name else None


@click.command("export-case", epilog=EXAMPLES)
@click.argument("case")
@click.option("-o", "--output", "target", type=click.Path(dir_okay=False, path_type=Path), help="Default: CASE.zip.")
@connected
def export_case(connection: Connection, case: str, target: Path | None) -> None:
    """Write CASE as a ZIP of JSON and BPMN, to show it to somebody who may not see patients' data.

    Values become their kind and size, people become numbers, comments and reasons go; ids, names of elements, times and
    incidents stay.
    """
    people = People()
    found = connection.call("GET", f"/cases/{part(case)}")
    parts: dict[str, bytes] = {
        "timeline.json": _json([_event(one, people) for one in connection.call("GET", f"/cases/{part(case)}/timeline")])
    }
    instances: list[dict[str, Any]] = []
    for row in found["instances"]:
        view = connection.call("GET", f"/instances/{row['id']}")
        trace = connection.call("GET", f"/instances/{row['id']}/trace")
        instances.append(_instance(view, people) | {"trace": trace})
        model, version = row["process_id"], row["version"]
        parts[f"models/{model}-v{version}.bpmn"] = connection.content(f"/models/{part(model)}/xml", version=version)
    parts["case.json"] = _json({"case": case, "instances": instances})
    target = target or Path(f"{case}.zip")
    _write(target, parts)
    click.echo(f"{target}: {len(instances)} instances, {len(json.loads(parts['timeline.json']))} events")


def _write(target: Path, parts: dict[str, bytes]) -> None:
    new = target.with_name(f".{target.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    with zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(parts.items()):
            archive.writestr(name, content)
    new.replace(target)


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode()


def _event(event: dict[str, Any], people: People) -> dict[str, Any]:
    data = {name: value if name in KEPT else redacted(value) for name, value in (event["data"] or {}).items()}
    return event | {"actor": people(event["actor"]), "actor_name": None, "data": data}


def _instance(view: dict[str, Any], people: People) -> dict[str, Any]:
    tasks = [task | {"assignee": people(task["assignee"])} for task in view["tasks"]]
    hidden = {"variables": redacted(view["variables"]), "business_key": redacted(view["business_key"])}
    return view | hidden | {"tasks": tasks}


def redacted(value: Any) -> Any:
    """The same shape with each value's kind and size in its place."""
    if isinstance(value, dict):
        return {name: redacted(one) for name, one in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [redacted(one) for one in cast("list[Any]", value)]
    if value is None or isinstance(value, bool):
        return value
    return f"text of {len(value)}" if isinstance(value, str) else "number"


VERIFY_EXAMPLES = """
\b
Examples:
  dams verify                            the whole timeline and its signed heads
  dams verify --case A-1042 --json
"""


@click.command(epilog=VERIFY_EXAMPLES)
@click.option("--case", help="Only this case; the signed heads are of the whole timeline.")
@output.json_option
@connected
def verify(connection: Connection, case: str | None, as_json: bool) -> None:
    """Compute the seals of the timeline anew: was an entry changed, taken away or put between?

    Ends with 1 where something does not fit. Entries of the last seconds may have no seal yet.
    """
    found = connection.call("GET", "/timeline/verification", **({"params": {"case": case}} if case else {}))
    if as_json:
        output.as_json(found)
    else:
        click.echo(f"{found['events']} entries, {found['sealed']} of them sealed")
        for one in found["faults"]:
            click.echo(f"entry {one['event_id']}: {one['why']}")
        for one in found["heads"]:
            click.echo(f"signed head {one['n']}: {one['why']}")
        click.echo("the timeline is as it was written" if found["ok"] else "the timeline was changed")
    sys.exit(0 if found["ok"] else 1)


commands = [export_case, verify]
