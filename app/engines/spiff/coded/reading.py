"""A coded process as a JSON file, read and checked: what is not run exactly as SpiffWorkflow means it is refused."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal, cast

from app.core.errors import Problem
from app.core.settings import settings
from app.engines.spiff.checks.rules import RULES
from app.engines.spiff.coded import operators
from app.engines.spiff.coded.operators import OperatorRefused
from app.engines.spiff.expressions import compile_expression
from app.engines.spiff.subset import ScriptRefused

KINDS: dict[str, Literal["start", "simple", "choice"]] = {
    "StartTask": "start",
    "Simple": "simple",
    "ExclusiveChoice": "choice",
}
START = "Start"
_CURES = {
    "Join": "let the tasks lead to one Simple task, which runs once for each",
    "MultiChoice": "use an ExclusiveChoice, or draw an inclusive gateway in BPMN",
    "SubWorkflow": "draw a call activity in BPMN",
    "Cancel": "draw a terminate end event in BPMN",
    "Execute": "draw a service or script task in BPMN",
}
_FILE = frozenset({"name", "description", "file", "task_specs"})
_EMPTY = ("defines", "pre_assign", "post_assign", "choice")
_TASK = frozenset({"class", "name", "description", "inputs", "outputs", "manual", "data", "lookahead", "id", *_EMPTY})
_CHOICE = frozenset({"cond_task_specs", "default_task_spec"})
_DATA = frozenset({"form", "candidate_roles", "documentation"})
_FIELD = frozenset("id label type default options required readonly min max minlength maxlength pattern".split())  # noqa: SIM905
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Characters that no XML file can hold."""


@dataclass(slots=True)
class Branch:
    """One way out of a task. ``condition`` is an expression, "" for the default or where there is no choice."""

    target: str
    condition: str = ""


@dataclass(slots=True)
class Step:
    """One task of a coded process, in the order of the file."""

    name: str
    kind: Literal["start", "simple", "choice"]
    line: int
    label: str = ""
    manual: bool = False
    branches: list[Branch] = field(default_factory=list[Branch])
    data: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(slots=True)
class Spec:
    name: str
    label: str
    steps: dict[str, Step]


def read(file: str, content: bytes) -> tuple[Spec | None, list[Problem]]:
    """The process of a JSON file, or None and what must be mended; warnings come with a process."""
    reader = _Reader(file)
    spec = reader.read(content)
    return (None if any(p.severity == "error" for p in reader.problems) else spec), reader.problems


class _Reader:
    def __init__(self, file: str) -> None:
        self.file, self.text = file, ""
        self.problems: list[Problem] = []

    def report(self, rule: str, message: str, fix: str, step: str = "", line: int = 0) -> None:
        where = line or self._line(step)
        kind = "task spec" if step else ""
        self.problems.append(Problem(self.file, where, kind, step, "", rule, RULES[rule], message, fix))

    def _line(self, step: str) -> int:
        found = re.search(rf'"{re.escape(step)}"\s*:', self.text) if step else None
        return self.text.count("\n", 0, found.start()) + 1 if found else 1

    def read(self, content: bytes) -> Spec | None:
        loaded = self._load(content)
        if loaded is None:
            return None
        name = loaded.get("name")
        self._known(loaded, _FILE, "")
        if not isinstance(name, str) or not _usable(name):
            self.report("spec-name", "the process has no usable name", "use letters, digits and underscores")
            return None
        tasks = cast("dict[str, Any]", loaded["task_specs"])
        steps = {own: step for own, given in tasks.items() if (step := self._step(name, own, given))}
        if steps.get(START) is None or steps[START].kind != "start":
            self.report("spec-flow", f"there is no StartTask of the name {START}", "let the process begin with one")
        if not self.problems:
            self._check_flow(steps, {own: given.get("inputs") for own, given in tasks.items()})
            self._check_names(steps)
        label = loaded.get("description")
        return Spec(name, label if isinstance(label, str) and label.strip() else name, steps)

    def _load(self, content: bytes) -> dict[str, Any] | None:
        limit = settings().engine.file_kb * 1024
        if len(content) > limit:
            self.report("too-large", f"the file is larger than {limit // 1024} KB", "split the process")
            return None
        try:
            self.text = content.decode("utf-8-sig")
            loaded: Any = json.loads(self.text, parse_float=Decimal, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            line = error.lineno if isinstance(error, json.JSONDecodeError) else 0
            self.report("json-syntax", f"this is no JSON: {reason}", "correct the text", line=line)
            return None
        if any(_UNFIT.search(one) for one in _texts(loaded)):
            self.report("json-syntax", "a text holds characters that cannot be shown", "take them out")
            return None
        if not isinstance(loaded, dict) or not isinstance(loaded.get("task_specs"), dict):
            self.report("json-syntax", "this is JSON, but no SpiffWorkflow specification",
                        "give it a name and task_specs, or upload a .bpmn file")  # fmt: skip
            return None
        if len(loaded["task_specs"]) > settings().engine.file_elements:
            self.report("too-many-elements", "the process has too many tasks", "split the process")
            return None
        return cast("dict[str, Any]", loaded)

    def _known(self, given: dict[str, Any], known: frozenset[str], step: str) -> None:
        for member in given.keys() - known:
            self.report("spec-member", f"{member} is not honoured", "take it out", step)

    def _step(self, process: str, own: str, given: Any) -> Step | None:
        if not isinstance(given, dict):
            self.report("spec-member", "the task is no JSON object", "write its class and outputs", own)
            return None
        task = cast("dict[str, Any]", given)
        if not _usable(own) or own == process or task.get("name", own) != own:
            self.report("spec-name", "its name cannot be used, or is written in two ways",
                        "use letters, digits and underscores, and another name than the process has", own)  # fmt: skip
            return None
        path, _, short = str(task.get("class", "")).rpartition(".")
        kind = KINDS.get(short) if not path or path.startswith("SpiffWorkflow.specs") else None
        if kind is None:
            self.report("spec-class", f"a {short or 'task without class'} is not run here",
                        _CURES.get(short, f"use {', '.join(KINDS)}"), own)  # fmt: skip
            return None
        self._known(task, _TASK | _CHOICE if kind == "choice" else _TASK, own)
        for member in _EMPTY:
            if task.get(member):
                self.report("spec-member", f"{member} is not run here", "ask for the value in a form", own)
        label = task.get("description")
        step = Step(own, kind, self._line(own), label if isinstance(label, str) and label.strip() else own)
        step.manual = task.get("manual") is True
        step.data = self._data(own, task.get("data"), manual=step.manual)
        if step.manual and kind != "simple":
            self.report("spec-member", "only a Simple task can wait for a person",
                        "put a manual Simple task in front of it", own)  # fmt: skip
        step.branches = self._choices(own, task) if kind == "choice" else self._outputs(own, task)
        return step

    def _data(self, own: str, given: Any, *, manual: bool) -> dict[str, Any]:
        if not given:
            return {}
        data = cast("dict[str, Any]", given) if isinstance(given, dict) else {"data": given}
        self._known(data, _DATA if manual else frozenset(), own)
        roles, form = data.get("candidate_roles", []), data.get("form", [])
        if _names(roles) is None or any(sign in str(roles) for sign in ("${", "#{")):
            self.report("spec-member", "candidate_roles is no list of names", "list roles and groups", own)
        rows = cast("list[Any]", form) if isinstance(form, list) else [form]
        for row in rows:
            if not isinstance(row, dict) or not isinstance(row.get("options", []), list):
                self.report("spec-member", "form is no list of fields", "write each as an object with id and type", own)
                return {}
            self._known(cast("dict[str, Any]", row), _FIELD, own)
            if not all(isinstance(option, dict) for option in cast("list[Any]", row.get("options", []))):
                self.report("spec-member", "options are no objects", "write each with id and name", own)
                return {}
        return data

    def _outputs(self, own: str, task: dict[str, Any]) -> list[Branch]:
        given = task.get("outputs", [])
        names = _names(given)
        if names is None:
            self.report("spec-flow", "outputs is no list of names", "list the names of the next tasks", own)
            return []
        return [Branch(name) for name in names]

    def _choices(self, own: str, task: dict[str, Any]) -> list[Branch]:
        default, rows = task.get("default_task_spec"), task.get("cond_task_specs")
        if not isinstance(default, str) or not default:
            self.report("spec-flow", "the choice has no default_task_spec", "say where to go when nothing fits", own)
            return []
        found: list[Branch] = []
        for row in cast("list[Any]", rows) if isinstance(rows, list) else []:
            if not isinstance(row, list) or len(cast("list[Any]", row)) != 2 or not isinstance(row[1], str):
                self.report("spec-operator", "cond_task_specs holds no pairs of condition and task",
                            "write [[operator, terms], task]", own)  # fmt: skip
            elif row[0] in (None, ["value", None]):
                if row[1] != default:
                    self.report("spec-operator", f"the way to {row[1]} has no condition", "give it one", own)
            else:
                self._condition(own, row[0], row[1], found)
        outputs, ways = _names(task.get("outputs", [])), [branch.target for branch in found] + [default]
        if outputs is not None and "outputs" in task and set(outputs) != set(ways):
            self.report("spec-flow", "its outputs are not the tasks it chooses from", "list the same tasks", own)
        return [*found, Branch(default)]

    def _condition(self, own: str, condition: Any, target: str, found: list[Branch]) -> None:
        try:
            text = operators.expression(condition)
            compile_expression(text)
        except OperatorRefused as refused:
            self.report("spec-operator", refused.message, refused.fix, own)
        except ScriptRefused as refused:
            self.report("spec-operator", refused.message, refused.fix or "use another attribute", own)
        else:
            found.append(Branch(target, text))

    def _check_flow(self, steps: dict[str, Step], inputs: dict[str, Any]) -> None:
        for step in steps.values():
            for branch in step.branches:
                if branch.target not in steps or branch.target == START:
                    self.report("spec-flow", f"leads to {branch.target}, which is no task to go to",
                                "name a task of the file", step.name)  # fmt: skip
            claimed = _names(inputs[step.name] or [])
            sources = {one.name for one in steps.values() for branch in one.branches if branch.target == step.name}
            if claimed is None or (inputs[step.name] is not None and set(claimed) != sources):
                self.report(
                    "spec-flow", "its inputs are not the tasks that lead to it", "list the same tasks", step.name
                )
        if self.problems:
            return
        for name in steps.keys() - _reached(steps):
            self.report("spec-flow", "nothing leads to it", "connect it, or take it out", name)
        busy = {one.name: [b.target for b in one.branches] for one in steps.values() if not one.manual}
        try:
            TopologicalSorter(busy).prepare()
        except CycleError as error:
            circle = [name for name in cast("list[str]", error.args[1]) if name in busy]
            if circle and all(name in busy for name in error.args[1]):
                self.report("loop-without-wait", f"a loop in which nothing waits: {', '.join(circle)}",
                            "let a manual task stand in it, or make sure that it ends", circle[0])  # fmt: skip

    def _check_names(self, steps: dict[str, Step]) -> None:
        asked = {field["id"] for step in steps.values() for field in _form(step) if isinstance(field.get("id"), str)}
        for step in steps.values():
            reads = {name for b in step.branches if b.condition for name in compile_expression(b.condition).reads}
            for name in sorted(reads - asked):
                self.report("name-never-set", f"its condition uses {name}, which no form of the process sets",
                            f"pass {name} with the start, or correct the name", step.name)  # fmt: skip


def _form(step: Step) -> Iterator[dict[str, Any]]:
    rows = step.data.get("form")
    if isinstance(rows, list):
        yield from (row for row in cast("list[Any]", rows) if isinstance(row, dict))


def _reached(steps: dict[str, Step]) -> set[str]:
    reached, todo = {START}, [START]
    while todo:
        for branch in steps[todo.pop()].branches:
            if branch.target not in reached:
                reached.add(branch.target)
                todo.append(branch.target)
    return reached


def _texts(loaded: Any) -> Iterator[str]:
    todo: list[Any] = [loaded]
    while todo:
        one = todo.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict | list):
            members = cast("dict[str, Any] | list[Any]", one)
            todo += [*members, *members.values()] if isinstance(members, dict) else members


def _names(given: Any) -> list[str] | None:
    rows = cast("list[Any]", given) if isinstance(given, list) else [None]
    return cast("list[str]", rows) if all(isinstance(row, str) for row in rows) else None


def _usable(name: str) -> bool:
    return len(name) <= 100 and name.isascii() and name.isidentifier() and not keyword.iskeyword(name)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Failure prevented: of two tasks with one name, JSON readers keep the last without a word."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands twice")
    return found
