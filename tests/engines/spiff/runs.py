"""Drives instances in process, always through their saved state, as the database would."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lxml import etree

from app.engines.spiff import blueprints, parsing, specs, steps
from app.engines.spiff.blueprints import LoadedSpec
from app.engines.spiff.outcome import Bounds, NamedEvent, Outcome
from app.engines.spiff.specs import BundleFile, CompiledModel

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
WIDE = Bounds(seconds=60.0)


def compiled(*files: bytes) -> list[CompiledModel]:
    """The models of a bundle that passes the checks."""
    report = specs.check_bundle([BundleFile(f"model{n}.bpmn", xml) for n, xml in enumerate(files)])
    assert report.ok, report.problems
    return report.models


def loaded(*files: bytes) -> LoadedSpec:
    """The first process of a bundle that passes the checks, as instances get it."""
    return specs.load_spec(compiled(*files)[0].spec)


def unchecked(*files: bytes) -> LoadedSpec:
    """As `loaded`, for what the checks refuse today but the engine must not stumble over."""
    parser, taken, ids = parsing.ModelParser(), set[str](), dict[str, str]()
    for xml in files:
        parser.add_bpmn_xml(parsing.prepare(etree.fromstring(xml), taken, ids))
    return blueprints.load(blueprints.store(parser, parser.get_process_ids()[0], ids))


class Run:
    """One instance. ``trace`` is everything that ran; each call goes through the saved state."""

    finishing = False
    """Whether each call goes on, saved and read back, until the bound of a call is not reached any more."""

    def __init__(
        self, spec: LoadedSpec, bounds: Bounds = WIDE, now: datetime = NOW, *, finishing: bool = False, **variables: Any
    ) -> None:
        self.spec, self.bounds, self.now, self.finishing = spec, bounds, now, finishing
        self.trace: list[tuple[str, str]] = []
        self.sent: list[tuple[str, str]] = []
        self._take(steps.start(spec, variables, bounds=bounds, now=now))

    def complete(self, element_id: str, **values: Any) -> Run:
        task = next(task for task in self.outcome.open_tasks if task.element_id == element_id)
        return self._take(steps.complete(self.spec, self.state, task.id, values, bounds=self.bounds, now=self.now))

    def proceed(self, now: datetime | None = None) -> Run:
        self.now = now or self.now
        return self._take(steps.proceed(self.spec, self.state, bounds=self.bounds, now=self.now))

    def finish(self) -> Run:
        """Go on as the relay does while a bound of the call was reached."""
        while self.outcome.unfinished:
            self.proceed()
        return self

    def deliver(self, kind: str, name: str, payload: dict[str, Any] | None = None, **correlation: Any) -> Run:
        event = NamedEvent(kind, name, payload or {}, correlation)
        return self._take(steps.deliver(self.spec, self.state, event, bounds=self.bounds, now=self.now))

    def retry(self, **variables: Any) -> Run:
        task = self.outcome.incidents[0].task_id
        return self._take(steps.retry(self.spec, self.state, task, variables, bounds=self.bounds, now=self.now))

    def migrate(self, spec: LoadedSpec, elements: Mapping[str, str]) -> Run:
        """From now on on another version."""
        outcome = steps.migrate(self.spec, spec, self.state, elements, bounds=self.bounds, now=self.now)
        self.spec = spec
        return self._take(outcome)

    def _take(self, outcome: Outcome) -> Run:
        self.outcome, self.state = outcome, outcome.state
        self.trace += [(entry.element_id, entry.event) for entry in outcome.trace]
        self.sent += [(event.kind, event.name) for event in outcome.events_out]
        if self.finishing and outcome.unfinished:
            return self.proceed()
        return self

    @property
    def status(self) -> str:
        return self.outcome.status

    @property
    def variables(self) -> dict[str, Any]:
        return self.outcome.variables

    @property
    def open(self) -> list[str]:
        return sorted(task.element_id for task in self.outcome.open_tasks)

    @property
    def incidents(self) -> list[tuple[str, str]]:
        return [(incident.element_id, incident.code) for incident in self.outcome.incidents]

    def of(self, element_id: str) -> list[str]:
        """What happened to one element, in order."""
        return [event for element, event in self.trace if element == element_id]

    def done(self) -> list[str]:
        return [element for element, event in self.trace if event == "completed"]
