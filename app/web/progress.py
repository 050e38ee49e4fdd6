"""Where an instance stands in its model, as the task and instance pages show it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from markupsafe import Markup

from app.engines.spiff.comparison import compare
from app.engines.spiff.dry_run import DryRun
from app.engines.spiff.models import StoredModel
from app.engines.spiff.records import InstanceView, TaskView
from app.engines.spiff.specs import CompiledModel
from app.web import diagram
from app.web.outline import Step, outline


class Progress:
    """What has run, where the token is, what is in trouble: ids of elements, and the views made of them."""

    def __init__(self, model: StoredModel, happened: list[tuple[str, str]], at: TaskView | InstanceView | None) -> None:
        self.model = model
        self.trouble: list[str] = []
        self.now: list[str] = []
        if isinstance(at, TaskView) and at.row.state in ("ready", "claimed"):
            self.now = [at.row.element_id]
        elif isinstance(at, InstanceView):
            self.trouble = [incident["element_id"] for incident in at.incidents]
            self.now = [task.element_id for task in at.tasks] + [item["element_id"] for item in at.waiting]
        current = {*self.now, *self.trouble}
        completed = dict.fromkeys(element for element, event in happened if event == "completed")
        self.done = [element for element in completed if element not in current]

    @cached_property
    def steps(self) -> list[Step]:
        return outline(self.model, self.done, self.now, self.trouble)

    @cached_property
    def forms(self) -> list[Step]:
        """The user tasks in order: the steps that people count."""
        return [step for step in self.steps if step.kind in ("form", "work by hand")]

    @property
    def position(self) -> tuple[int, int] | None:
        """(this step, of how many), where the model is a plain sequence of forms."""
        found = next((number for number, step in enumerate(self.forms, 1) if step.state == "now"), None)
        return (found, len(self.forms)) if found else None

    @cached_property
    def drawing(self) -> Markup | None:
        return diagram.draw(self.model, self.done, self.now, self.trouble)


class Tried:
    """A dry run beside its model: what was reached is drawn as done, what failed as in trouble."""

    def __init__(self, model: CompiledModel, run: DryRun) -> None:
        self.model, self.run = model, run
        self.trouble = list(dict.fromkeys([*(one.element_id for one in run.failures), *run.unfilled]))
        self.done = [one for one in run.reached if one not in self.trouble]

    @cached_property
    def steps(self) -> list[Step]:
        return outline(self.model, self.done, (), self.trouble)

    @cached_property
    def drawing(self) -> Markup | None:
        return diagram.draw(self.model, self.done, (), self.trouble)


class Compared:
    """A version beside the one before it, None for a process that is new; drawn with what came, changed and went."""

    def __init__(
        self, old: CompiledModel | None, new: CompiledModel, standing: Mapping[str, int], old_version: int
    ) -> None:
        self.old, self.new, self.old_version = old, new, old_version
        self.differences = compare(old, new, standing) if old else []
        self.running = sum(one.running for one in self.differences)

    def _of(self, kind: str) -> list[str]:
        return [one.element_id for one in self.differences if one.kind == kind]

    @cached_property
    def before(self) -> Markup | None:
        return diagram.draw(self.old, (), self._of("changed"), self._of("removed")) if self.old else None

    @cached_property
    def after(self) -> Markup | None:
        return diagram.draw(self.new, self._of("added"), self._of("changed"), ())
