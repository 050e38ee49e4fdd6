"""From a checked BPMN tree to SpiffWorkflow's specification of each process.

SpiffWorkflow's parser recurses along the flow (500 tasks in a row are too many), takes the order of flows from the
drawing, and loops for ever on a data object two scopes up. Here each scope is read element by element, in the order
of the file.
"""

from __future__ import annotations

import copy
from typing import Any, cast

import orjson

from app.engines.spiff import assignment
from app.engines.spiff.events import Listener
from app.engines.spiff.happenings import Compensate
from app.engines.spiff.library import (
    Mixin,
    Parser,
    ProcessParser,
    TaskParser,
    ValidationException,
    elements,
)
from app.engines.spiff.library import event_parsers as events
from app.engines.spiff.library import task_parsers as tasks
from app.engines.spiff.normaliser import LISTENER

BPMN = "{http://www.omg.org/spec/BPMN/20100524/MODEL}"
CAMUNDA = "{http://camunda.org/schema/1.0/bpmn}"
_RESERVED = frozenset({"Start", "End", "Root", "StartEventSplit", "StartEventJoin"})
_RESERVED_ENDS = (".EndJoin", ".BoundaryEventSplit", ".BoundaryEventJoin", "[child]")
_SCOPES = frozenset(f"{BPMN}{name}" for name in ("subProcess", "transaction", "adHocSubProcess"))
_REFERENCES = ("sourceRef", "targetRef", "attachedToRef", "default", "bpmnElement", "undoneBy",
               "undoneInsideBy", "activityRef")  # fmt: skip
_MARK = "~"
"""Stands at the end of a renamed id; no XML id can contain it, so a renamed id never meets one of a file."""


def prepare(root: Any, taken: set[str], renamed: dict[str, str]) -> Any:
    """A copy of the tree in which no id means something to SpiffWorkflow or stands for two scopes of the bundle.

    *taken* are ids of processes and sub-processes so far; it grows. *renamed* gets the file's id of each new one.
    """
    root = copy.deepcopy(root)
    nodes = [node for node in root.iter(f"{BPMN}*") if node.get("id")]
    inside = [node for node in nodes if node.getparent() is not None and _in_process(node)]
    for node in inside:
        own = cast("str", node.get("id"))
        clash = node.tag in _SCOPES and own in taken
        if own in _RESERVED or own.endswith(_RESERVED_ENDS) or clash:
            new = own + _MARK
            while new in taken:
                new += _MARK
            renamed[new] = own
            _rename(root, own, new)
        if node.tag in _SCOPES:
            taken.add(cast("str", node.get("id")))
    for loop in root.iter(f"{BPMN}multiInstanceLoopCharacteristics"):
        _read_camunda_loop(loop)
    return root


def _in_process(node: Any) -> bool:
    return next(node.iterancestors(f"{BPMN}process"), None) is not None


def _rename(root: Any, old: str, new: str) -> None:
    for node in root.iter():
        if not isinstance(node.tag, str):
            continue
        if node.get("id") == old:
            node.set("id", new)
        for name in _REFERENCES:
            if node.get(name) == old:
                node.set(name, new)
        if node.tag == f"{BPMN}flowNodeRef" and (node.text or "").strip() == old:
            node.text = new


def _read_camunda_loop(loop: Any) -> None:
    """Camunda's collection and element variable as the standard writes them."""
    collection, item = loop.get(f"{CAMUNDA}collection"), loop.get(f"{CAMUNDA}elementVariable")
    if collection and loop.find(f"{BPMN}loopDataInputRef") is None:
        reference = loop.makeelement(f"{BPMN}loopDataInputRef")
        reference.text = collection
        loop.insert(0, reference)
    if item and loop.find(f"{BPMN}inputDataItem") is None:
        loop.append(loop.makeelement(f"{BPMN}inputDataItem", {"id": item, "name": item}))


def further(node: Any) -> dict[str, Any]:
    """What an element's stored form holds beyond SpiffWorkflow's, by attribute of our classes."""
    found: dict[str, Any] = {}
    if node.get("undoneBy"):
        found["undone_by"] = node.get("undoneBy")
    if node.get("eventSub"):
        found["event_sub"] = True
    if node.get(assignment.COMPUTED):
        found["assigns"] = orjson.loads(node.get(assignment.COMPUTED))
    if node.get("tells"):
        found["tells"] = orjson.loads(node.get("tells"))
    if node.get("needed"):
        found["needed"] = int(node.get("needed"))
    found |= _parameters(node)
    if node.tag == f"{BPMN}callActivity":
        ins, outs = (node.findall(f"{BPMN}extensionElements/{CAMUNDA}{tag}") for tag in ("in", "out"))
        if ins or outs:
            found["ins"] = [_mapping(one) for one in ins if one.get("businessKey") is None]
            found["outs"] = [_mapping(one) for one in outs]
    return found


def _parameters(node: Any) -> dict[str, Any]:
    """Input and output parameters; those of a script task have become part of its script."""
    if node.tag == f"{BPMN}scriptTask":
        return {}
    takes, gives = _rules(node, "inputParameter"), _rules(node, "outputParameter")
    if node.get("topic"):
        result = node.get(f"{CAMUNDA}resultVariable")
        return {"job": {"topic": node.get("topic"), "inputs": takes, "outputs": gives, "result": result}}
    return ({"takes": takes} if takes else {}) | ({"gives": gives} if gives else {})


def _rules(node: Any, tag: str) -> list[list[str | None]]:
    return [_rule(one) for one in node.iterfind(f"{BPMN}extensionElements/{CAMUNDA}inputOutput/{CAMUNDA}{tag}")]


def _rule(parameter: Any) -> list[str | None]:
    return [parameter.get("name"), parameter.text, None]


def _mapping(node: Any) -> list[str | None]:
    if node.get("variables"):
        return ["", None, None]
    return [node.get("target"), node.get("sourceExpression"), node.get("source")]


class _Flat(Mixin):
    """Reads one element without following its flows; `FlatProcess` does that."""

    bpmn_id: str
    process_parser: Any

    def parse_node(self) -> Any:
        self.task = self.create_task()
        self.task.extensions = {}
        self.task.further = further(self.node)
        if self.xpath("./bpmn:ioSpecification"):
            self.task.io_specification = self.parse_io_spec()
        for path, add in (
            ("./bpmn:standardLoopCharacteristics", self._add_loop_task),
            ("./bpmn:multiInstanceLoopCharacteristics", self._add_multiinstance_task),
        ):
            for node in self.xpath(path):
                add(node)
        attached = self.process_parser.get_boundary_events(self.bpmn_id)
        self.process_parser.parsers[self.bpmn_id] = self
        return self._add_boundary_event(attached) if attached else self.task

    def connect_flows(self, flows: list[Any], specs: dict[str, Any]) -> None:
        """Connect the element with what its flows lead to; one that leads nowhere ends its path."""
        default: str | None = self.node.get("default")
        if len(flows) == 1 and self.parse_condition(flows[0]) is None:
            default = flows[0].get("id")
        for flow in flows:
            target = flow.get("targetRef")
            spec = specs.get(f"{target}.BoundaryEventSplit") or specs[target]
            self.connect_outgoing(spec, flow, flow.get("id") == default)
        handles = self.node.get("isForCompensation") in ("true", "1")
        if not flows and not handles and not isinstance(self.task, elements.EndEvent):
            self.task.connect(self.process_parser.spec.end)

    def _resolve_data_object_ref(self, ref: Any) -> Any:
        scope = self.process_parser
        while ref is not None and scope is not None:
            found = scope.spec.data_objects.get(ref.get("dataObjectRef"))
            if found is not None:
                return found
            scope = scope.parent
        return None


class FlatProcess(ProcessParser):
    """Reads the elements of one scope that a start event, a listener or a compensation leads to."""

    parsers: dict[str, Any]

    def add_tasks(self) -> None:
        starts = self.xpath("./bpmn:startEvent")
        if not starts:
            raise ValidationException("No start event found", node=self.node, file_name=self.filename)
        self.parsers = {}
        self.spec.further = {"undone_by": self.node.get("undoneInsideBy"), "enough": self.node.get("enough")}
        begins = [*starts, *self.node.iterchildren(LISTENER), *self.xpath("./*[@isForCompensation='true']")]
        todo = [node.get("id") for node in reversed(begins)]  # the first of the file is read first
        reached = set(todo)
        while todo:
            for target in self._read(todo.pop()):
                if target not in reached:
                    reached.add(target)
                    todo.append(target)
        for node in self.node:  # in the order of the file, whatever the order of reading was
            parser = self.parsers.get(node.get("id")) if isinstance(node.tag, str) else None
            if parser is not None:
                parser.connect_flows(self.get_outgoing_sequence_flows(node.get("id")), self.spec.task_specs)

    def _read(self, element_id: str) -> list[str]:
        """Read an element with its boundary events; the ids they lead to."""
        node = self.get_node_by_id(element_id)
        if node is None:
            raise ValidationException(f"A flow leads to {element_id}, which is not there", self.node, self.filename)
        self.parse_node(node)
        sources = [element_id, *(event.get("id") for event in self.get_boundary_events(element_id))]
        return [flow.get("targetRef") for source in sources for flow in self.get_outgoing_sequence_flows(source)]


class FlatTask(_Flat, TaskParser):
    pass


class FlatGateway(_Flat, tasks.GatewayParser):
    pass


class FlatChoice(_Flat, tasks.ConditionalGatewayParser):
    pass


class FlatScript(_Flat, tasks.ScriptTaskParser):
    pass


class FlatSubProcess(_Flat, tasks.SubWorkflowParser):
    pass


class FlatCall(_Flat, tasks.CallActivityParser):
    pass


class FlatStart(_Flat, events.StartEventParser):
    pass


class _Undoing(_Flat):
    """Also reads compensation events, which the base classes do not know."""

    def _definition(self, paths: list[str]) -> Any:
        found = self.node.find(f"{BPMN}compensateEventDefinition")
        return self.get_event_definition(paths) if found is None else Compensate(found.get("activityRef"))


class FlatListener(_Flat, events.BoundaryEventParser):
    def create_task(self) -> Any:
        task = super().create_task()
        self.spec.start.connect(task)
        return task

    def get_description(self) -> str:
        return "Listener"


class FlatEnd(_Undoing, events.EndEventParser):
    def create_task(self) -> Any:
        """Also the signal end event, which the base class drops without a word."""
        definition = self._definition(
            [
                events.MESSAGE_EVENT_XPATH,
                events.CANCEL_EVENT_XPATH,
                events.ERROR_EVENT_XPATH,
                events.ESCALATION_EVENT_XPATH,
                events.TERMINATION_EVENT_XPATH,
                events.SIGNAL_EVENT_XPATH,
            ]
        )
        task = self._create_task(definition)
        task.connect(self.spec.end)
        return task


class FlatCatch(_Flat, events.IntermediateCatchEventParser):
    pass


class FlatThrow(_Undoing, events.IntermediateThrowEventParser):
    def create_task(self) -> Any:
        return self._create_task(
            self._definition([events.ESCALATION_EVENT_XPATH, events.MESSAGE_EVENT_XPATH, events.SIGNAL_EVENT_XPATH])
        )


class FlatSend(_Flat, events.SendTaskParser):
    pass


class FlatReceive(_Flat, events.ReceiveTaskParser):
    pass


class FlatBoundary(_Flat, events.BoundaryEventParser):
    pass


class FlatEventGateway(_Flat, events.EventBasedGatewayParser):
    pass


class ModelParser(Parser):
    """Parses the processes of a bundle; what it cannot read raises `ValidationException`."""

    PROCESS_PARSER_CLASS = FlatProcess
    OVERRIDE_PARSER_CLASSES = {  # noqa: RUF012 - the base class's name and type
        f"{BPMN}{tag}": (parser, spec)
        for tag, parser, spec in (
            (LISTENER.removeprefix(BPMN), FlatListener, Listener),
            ("startEvent", FlatStart, elements.StartEvent),
            ("endEvent", FlatEnd, elements.EndEvent),
            ("userTask", FlatTask, elements.UserTask),
            ("manualTask", FlatTask, elements.ManualTask),
            ("task", FlatTask, elements.NoneTask),
            ("scriptTask", FlatScript, elements.ScriptTask),
            ("sendTask", FlatSend, elements.SendTask),
            ("receiveTask", FlatReceive, elements.ReceiveTask),
            ("subProcess", FlatSubProcess, elements.SubWorkflowTask),
            ("transaction", FlatSubProcess, elements.TransactionSubprocess),
            ("callActivity", FlatCall, elements.CallActivity),
            ("exclusiveGateway", FlatChoice, elements.ExclusiveGateway),
            ("complexGateway", FlatChoice, elements.InclusiveGateway),
            ("inclusiveGateway", FlatChoice, elements.InclusiveGateway),
            ("parallelGateway", FlatGateway, elements.ParallelGateway),
            ("eventBasedGateway", FlatEventGateway, elements.EventBasedGateway),
            ("intermediateCatchEvent", FlatCatch, elements.IntermediateCatchEvent),
            ("intermediateThrowEvent", FlatThrow, elements.IntermediateThrowEvent),
            ("boundaryEvent", FlatBoundary, elements.BoundaryEvent),
        )
    }
