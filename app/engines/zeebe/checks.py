"""What Zeebe 8.5 runs as drawn, and what it would refuse late, run otherwise or wait on for ever.

The intake before (XML, DOCTYPE, size, schema) is the same as for every file; expressions themselves are parsed by the
broker, whose findings become problems too.
"""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue] - untyped

from app.core.settings import ROOT
from app.engines.spiff.checks import structure
from app.engines.spiff.checks.model import ACTIVITIES, B, Model, kind
from app.engines.spiff.intake import MODELER, ZEEBE, Xml

Z = f"{{{ZEEBE}}}"
NEWEST = (8, 5)
EXTENSIONS = frozenset(
    """assignmentDefinition calledDecision calledElement formDefinition header input ioMapping loopCharacteristics
    output properties property script subscription taskDefinition taskHeaders taskSchedule userTask
    userTaskForm""".split()  # noqa: SIM905
)
"""The extension elements of 8.5; it reads past any other without a word."""
ATTRIBUTES = frozenset({"bindingType", "versionTag"})
ALLOWED_HERE = frozenset({"several-start-events", "no-end-event", "sub-process-start"})
"""What our own engine needs otherwise and Zeebe runs."""
_EXPRESSIONS = (
    ("input", "source", "an input mapping"),
    ("output", "source", "an output mapping"),
    ("loopCharacteristics", "inputCollection", "the collection of a multi-instance activity"),
    ("loopCharacteristics", "outputElement", "the output of a multi-instance activity"),
    ("subscription", "correlationKey", "a correlation key"),
    ("script", "expression", "a script"),
)
_UNSUPPORTED = {
    "complexGateway": "inclusive and parallel gateways",
    "adHocSubProcess": "the order, or parallel branches",
    "transaction": "a sub-process with compensation events",
}


def check(model: Model) -> None:
    """Report every problem of a Zeebe file to *model*."""
    structure.check(model)
    links = {node.get("id") for node in model.nodes if _defines(node, "linkEventDefinition")}
    model.problems[:] = [
        problem
        for problem in model.problems
        if problem.rule not in ALLOWED_HERE and not (problem.rule == "dead-end" and problem.element_id in links)
    ]
    _check_platform(model)
    for node in model.nodes:
        _check_construct(model, node)
        _check_binding(model, node)
        _check_flows(model, node)
    _check_expressions(model)
    _check_starts(model)


def _extensions(node: Xml, name: str) -> Iterator[Xml]:
    for holder in node.iterchildren(f"{B}extensionElements"):
        yield from holder.iterchildren(Z + name)


def _defines(node: Xml, definition: str) -> bool:
    return node.find(B + definition) is not None


def _owner(node: Xml) -> Xml:
    """The BPMN element that an extension belongs to."""
    while not kind(node) or kind(node) in ("extensionElements", "multiInstanceLoopCharacteristics"):
        node = node.getparent()
    return node


def _check_platform(model: Model) -> None:
    drawn = model.root.get(f"{{{MODELER}}}executionPlatformVersion", "")
    numbers = tuple(int(part) for part in drawn.split(".")[:2] if part.isdecimal())
    if numbers > NEWEST:
        model.report("platform-version", None, f"is drawn for Zeebe {drawn}, and 8.5 runs it",
                     "set the platform to 8.5 in the modeler, which then shows what is not there yet")  # fmt: skip
    for node in model.root.iter(f"{Z}*"):
        name = str(node.tag)[len(Z) :]
        for attribute in sorted(ATTRIBUTES & set(node.attrib)):
            model.report("zeebe-extension", _owner(node), f"{attribute} is not known to Zeebe 8.5", "take it out",
                         node.sourceline)  # fmt: skip
        if name not in EXTENSIONS:
            model.report("zeebe-extension", _owner(node), f"zeebe:{name} is unknown to Zeebe 8.5, which ignores it",
                         "take it out", node.sourceline)  # fmt: skip


def _check_construct(model: Model, node: Xml) -> None:
    type_, incoming = kind(node), model.incoming.get(node.get("id", ""), [])
    if type_ in _UNSUPPORTED:
        model.report("zeebe-construct", node, f"Zeebe 8.5 does not run a {type_}", f"draw {_UNSUPPORTED[type_]}")
    if type_ == "inclusiveGateway" and len(incoming) > 1:
        model.report("zeebe-construct", node, "Zeebe 8.5 cannot join with an inclusive gateway",
                     "join with an exclusive gateway, or fork and join with parallel ones")  # fmt: skip
    if type_ == "userTask":
        model.report("user-task", node, "a user task on Zeebe does not come into the inbox of DAMS",
                     "draw it in a Camunda 7 file; here io.camunda.zeebe:userTask is a job type")  # fmt: skip
    _check_markers(model, node)
    _check_definitions(model, node)


def _check_markers(model: Model, node: Xml) -> None:
    """Marks that Zeebe reads past without a word."""
    if node.find(f"{B}standardLoopCharacteristics") is not None:
        model.report("zeebe-construct", node, "Zeebe would run this loop only once",
                     "draw the loop with a gateway, or use a multi-instance activity")  # fmt: skip
    if any(node.get(name, "1") != "1" for name in ("startQuantity", "completionQuantity")):
        model.report("zeebe-construct", node, "Zeebe takes one token and gives one", "use gateways")
    if (many := node.find(f"{B}multiInstanceLoopCharacteristics")) is not None and many.get("behavior", "All") != "All":
        model.report("zeebe-construct", node, "Zeebe ignores the behavior", "throw the event from the task")
    if node.get("instantiate") in ("true", "1"):
        model.report("zeebe-construct", node, "cannot start instances", "use a message start event")


def _check_definitions(model: Model, node: Xml) -> None:
    if _defines(node, "conditionalEventDefinition"):
        model.report("zeebe-construct", node, "Zeebe 8.5 knows no conditional event", "use a gateway or a signal")
    if _defines(node, "eventDefinitionRef"):
        model.report("zeebe-construct", node, "refers to a definition outside", "put the definition inside")
    if len(model.definitions(node)) > 1:
        model.report("zeebe-construct", node, "waits for several things", "one event for each")


def _check_binding(model: Model, node: Xml) -> None:
    """Failure prevented: a task that no worker can ever take."""
    type_ = kind(node)
    message_throw = type_ in ("intermediateThrowEvent", "endEvent") and _defines(node, "messageEventDefinition")
    if type_ not in ("serviceTask", "sendTask", "businessRuleTask", "scriptTask") and not message_throw:
        return
    definitions = list(_extensions(node, "taskDefinition"))
    inside = {"businessRuleTask": "calledDecision", "scriptTask": "script"}.get(type_)
    if inside and any(True for _ in _extensions(node, inside)):
        return
    if not definitions or not definitions[0].get("type", "").strip():
        model.report("unbound-service", node, "names no job type, so no worker can do it", "give it a job type")
        return
    retries = definitions[0].get("retries", "3")
    if not retries.startswith("=") and not (retries.isdecimal() and 1 <= int(retries) <= 100):
        model.report("zeebe-retries", node, f"retries is {retries!r}", "a whole number from 1 to 100")


def _check_flows(model: Model, node: Xml) -> None:
    out, type_ = model.outgoing.get(node.get("id", ""), []), kind(node)
    conditions = [flow for flow in out if flow.find(f"{B}conditionExpression") is not None]
    default = node.get("default")
    if type_ not in ("exclusiveGateway", "inclusiveGateway"):
        if conditions and type_ in ACTIVITIES:
            model.report("zeebe-construct", conditions[0], "a conditional flow leaves an activity",
                         "draw an exclusive gateway behind it and put the condition there")  # fmt: skip
        return
    if len(out) < 2:
        return
    for flow in out:
        if flow not in conditions and flow.get("id") != default:
            model.report("condition-missing", flow, "leaves a gateway without a condition and is not its default",
                         "write a condition, or mark the flow as default")  # fmt: skip
    if default is None and len(conditions) == len(out):
        model.report("gateway-default", node, "has no default flow: where no condition is true, Zeebe stops there",
                     "mark one flow as default")  # fmt: skip


def _check_expressions(model: Model) -> None:
    def need(node: Xml, text: str, what: str) -> None:
        if text.strip() and not text.strip().startswith("="):
            model.report("feel-equals", _owner(node), f"{what} is {text.strip()!r}, which is no FEEL expression",
                         "begin it with =", node.sourceline)  # fmt: skip

    for flow in model.flows:
        condition = flow.find(f"{B}conditionExpression")
        if condition is not None:
            need(flow, condition.text or "", "a condition")
    for tag, attribute, what in _EXPRESSIONS:
        for node in model.root.iter(Z + tag):
            need(node, node.get(attribute, ""), what)


def _check_starts(model: Model) -> None:
    for process in model.processes:
        starts = [node for node in model.children(process) if kind(node) == "startEvent"]
        if starts and all(model.definitions(node) for node in starts):
            model.report("zeebe-start", process, "has no plain start event, so only messages and timers start it",
                         "draw one if people or other processes shall start it")  # fmt: skip
        if process.get("id") == "dams-run" and not _is_ours(model.root):
            model.report("duplicate-id", process, "the id dams-run belongs to DAMS itself", "choose another id")


def _is_ours(root: Xml) -> bool:
    """Whether the file is the one that DAMS ships: it must pass the checks it is held to."""
    shipped = etree.parse(ROOT / "bpmn/zeebe/run.bpmn")
    return etree.tostring(root, method="c14n") == etree.tostring(shipped.getroot(), method="c14n")
