"""All checks over one deployment, in order, with one list of problems at the end."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, TypeVar

from app.core.errors import Problem
from app.engines.spiff import decisions, intake, normaliser
from app.engines.spiff.checks import (
    bundle,
    constructs,
    declared,
    fields,
    flows,
    joins,
    neighbours,
    normal,
    paths,
    references,
    rules_tasks,
    scopes,
    structure,
    texts,
    vendor,
)
from app.engines.spiff.checks.model import FLOW_NODES, B, C, Model, kind
from app.engines.spiff.checks.rules import RULES
from app.engines.spiff.decisions import Decision
from app.engines.spiff.elements import Element, UserTaskInfo
from app.engines.spiff.forms import Form
from app.engines.spiff.intake import Xml
from app.engines.zeebe import checks as zeebe

T = TypeVar("T")
_DUPLICATE = re.compile(r"'[^\W\d][\w.-]*' is not a valid value of the atomic type 'xs:ID'")
"""The schema's word for an id that could be one and is taken."""


class File(Protocol):
    """One uploaded file."""

    @property
    def name(self) -> str: ...
    @property
    def content(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class CheckedProcess:
    """One executable process of a file. Ids are those of the uploaded file."""

    id: str
    name: str
    elements: Mapping[str, Element]
    forms: Mapping[str, Form]
    tasks: Mapping[str, UserTaskInfo]
    is_task: bool = False
    """A global task: it is called, and never started by itself."""


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """One file that can be run; ``tree`` is its root element with every text in Python, for the engine's parser."""

    name: str
    content: bytes
    engine: Literal["spiff", "zeebe"]
    tree: Xml
    processes: tuple[CheckedProcess, ...]
    coded: bool = False
    """Written as JSON: the tree is drawn from it."""


@dataclass(frozen=True, slots=True)
class Checked:
    """``files`` is empty unless the whole deployment can run; ``problems`` are sorted by file and line."""

    files: tuple[CheckedFile, ...] = ()
    problems: tuple[Problem, ...] = field(default=())

    @property
    def ok(self) -> bool:
        return not any(problem.severity == "error" for problem in self.problems)


def run(files: Sequence[File]) -> Checked:
    """Checks a deployment. Never raises for bad input; what is wrong is a problem of the list."""
    problems: list[Problem] = []
    models: list[tuple[Model, File]] = []
    decided: dict[str, Decision] = {}
    for file in files:
        model = _read(file, problems, decided)
        if model is not None:
            models.append((model, file))
    checked = [(model, file, *_check_file(model, decided)) for model, file in models]
    set_by_forms = set[str]().union(*(fields.set_names(forms) for _, _, forms, _ in checked))
    run_here = [(model, forms) for model, _, forms, _ in checked if intake.engine_of(model.root) == "spiff"]
    known = bundle.set_names([model for model, _ in run_here], set_by_forms)
    bundle.check([model for model, _ in run_here], known)
    for model, forms in run_here:
        paths.check(model, forms, known)
    bundle.check_ids([model for model, *_ in checked])
    for model, *_ in checked:
        problems.extend(model.problems)
    problems.sort(key=lambda problem: (problem.file, problem.line, problem.element_id, problem.rule))
    if any(problem.severity == "error" for problem in problems):
        return Checked((), tuple(problems))
    return Checked(_with_called([_finished(*each) for each in checked]), tuple(problems))


def _read(file: File, problems: list[Problem], decided: dict[str, Decision]) -> Model | None:
    """The file as a model, or None when it is no BPMN file that can be looked at further; decisions go to *decided*."""

    def report(rule: str, line: int, message: str, fix: str, element: tuple[str, str]) -> None:
        problems.append(Problem(file.name, line, *element, "", rule, RULES[rule], message, fix))

    try:
        root = intake.read(file.content)
    except intake.XmlRefused as refused:
        report(refused.rule, refused.line, refused.message, refused.fix, refused.element)
        return None
    if decisions.is_dmn(root):
        decided |= {decision.id: decision for decision in _decisions(file, root, problems)}
        return None
    if root.tag != f"{B}definitions":
        element = str(root.tag).rpartition("}")[2], root.get("id", "")
        message, fix = "this is XML, but no BPMN 2.0 file", "save it from a BPMN modeler"
        report("not-xml", root.sourceline or 0, message, fix, element)
        return None
    faults = intake.schema_faults(root)  # of the file as it is, before anything is put into it
    if intake.engine_of(root) == "spiff":
        normaliser.expand(root)
    model = Model(file.name, root, intake.dialect_of(root))
    for fault in faults:
        if not _DUPLICATE.search(fault.message):  # said better by `structure`
            message = f"departs from BPMN 2.0: {fault.message}"
            model.report("schema", _named(fault.node), message, "save it from a BPMN modeler", fault.line)
    return model


def _named(node: Xml) -> Xml:
    """The element that people know for what stands inside it: the nearest one with an id."""
    return next((one for one in (node, *node.iterancestors()) if one.get("id")), node)


def _decisions(file: File, root: Xml, problems: list[Problem]) -> list[Decision]:
    def report(node: Xml, message: str, fix: str) -> None:
        around = next(one for one in (node, *node.iterancestors()) if one.tag.endswith("}decision"))
        known, rule = node if node.get("id") else around, "decision-table"
        element = known.tag.rpartition("}")[2], known.get("id", ""), around.get("name", "")
        problems.append(Problem(file.name, node.sourceline or 0, *element, rule, RULES[rule], message, fix))

    return decisions.read(root, report)


def _check_file(model: Model, decided: Mapping[str, Decision]) -> tuple[dict[str, Form], dict[str, UserTaskInfo]]:
    if intake.engine_of(model.root) == "zeebe":
        zeebe.check(model)
        return {}, {}
    structure.check(model)
    neighbours.check(model)
    references.check(model)
    constructs.check(model)
    scopes.check(model)
    constructs.check_errors(model)
    flows.check(model)
    joins.check(model)
    forms = fields.check(model)
    tasks = vendor.check(model)
    texts.check(model)
    declared.check(model, forms)
    rules_tasks.check(model, decided)
    normal.check_loops(model)
    return _by_file_id(forms), _by_file_id(tasks)


def _by_file_id(found: Mapping[str, T]) -> dict[str, T]:
    return {own: value for key, value in found.items() if (own := normaliser.file_id(key)) is not None}


def _with_called(files: Sequence[CheckedFile]) -> tuple[CheckedFile, ...]:
    """Each process with the elements, forms and assignments of what it calls, which run inside its instances."""
    calls = {
        process.get("id"): [call.get("calledElement") for call in process.iter(f"{B}callActivity")]
        for file in files
        for process in file.tree.iter(f"{B}process")
    }
    known = {process.id: process for file in files for process in file.processes}

    def whole(process: CheckedProcess) -> CheckedProcess:
        parts, todo = [process], list(calls[process.id])
        while todo:
            called = known.get(todo.pop())
            if called is not None and called not in parts:
                parts.append(called)
                todo += calls[called.id]
        return replace(
            process,
            elements=_united([process.elements, *(_as_called(part.elements) for part in parts[1:])]),
            forms=_united([process.forms, *(_of_tasks(part) for part in parts[1:])]),
            tasks=_united([part.tasks for part in parts]),
        )

    return tuple(
        replace(file, processes=tuple(whole(process) for process in file.processes if not process.is_task))
        for file in files
    )


def _as_called(elements: Mapping[str, Element]) -> Mapping[str, Element]:
    """A call starts a process for nobody in particular."""
    return {own: replace(element, initiator="") for own, element in elements.items()}


def _of_tasks(process: CheckedProcess) -> Mapping[str, Form]:
    """The forms of a process that is called: a call fills in no start form."""
    return {own: form for own, form in process.forms.items() if own in process.tasks}


def _united(parts: Sequence[Mapping[str, T]]) -> dict[str, T]:
    """All of them; where two have a key the first counts."""
    return {key: value for part in reversed(parts) for key, value in part.items()}


def _finished(model: Model, file: File, forms: dict[str, Form], tasks: dict[str, UserTaskInfo]) -> CheckedFile:
    processes = tuple(process_of(model, process, forms, tasks) for process in model.processes)
    engine = intake.engine_of(model.root)
    if engine == "spiff":
        normal.normalise(model)
    return CheckedFile(file.name, file.content, engine, model.root, processes)


def process_of(model: Model, process: Xml, forms: dict[str, Form], tasks: dict[str, UserTaskInfo]) -> CheckedProcess:
    """What pages and the API need to know about one process."""
    elements: dict[str, Element] = {}
    for node in process.iter(f"{B}*"):
        own = normaliser.file_id(node.get("id", ""))
        if own is not None and (kind(node) in FLOW_NODES or kind(node) == "sequenceFlow"):
            elements[own] = _element(model, node)
    name = " ".join(process.get("name", "").split()) or process.get("id", "")
    return CheckedProcess(
        id=process.get("id", ""),
        name=name,
        elements=elements,
        forms={own: form for own, form in forms.items() if own in elements},
        tasks={own: info for own, info in tasks.items() if own in elements},
        is_task=process.get("drawnAs") is not None,
    )


def _element(model: Model, node: Xml) -> Element:
    parent = node.getparent()
    return Element(
        id=normaliser.file_id(node.get("id", "")) or "",
        type=node.get("drawnAs") or kind(node),
        name=" ".join(node.get("name", "").split()),
        line=node.sourceline or 0,
        lane=vendor.lane_of(model, node),
        parent="" if kind(parent) == "process" else parent.get("id", ""),
        effect=vendor.effect_of(node),
        initiator=node.get(f"{C}initiator", "") if kind(node) == "startEvent" else "",
        topic=node.get("topic", ""),
    )
