"""Camunda's and Spiff's own attributes and elements: honoured, noted as harmless, or refused. Nothing is skipped."""

from __future__ import annotations

import re

import orjson

from app.engines.spiff import assignment, juel
from app.engines.spiff.checks import timers
from app.engines.spiff.checks.constructs import SPIFF_REFUSED
from app.engines.spiff.checks.model import B, C, Model, Text, kind, scope_of
from app.engines.spiff.elements import EFFECTS, UserTaskInfo
from app.engines.spiff.expressions import compile_expression
from app.engines.spiff.intake import CAMUNDA, SPIFF, Xml
from app.engines.spiff.subset import ScriptRefused

_HONOURED: dict[str, frozenset[str]] = {
    "assignee": frozenset({"userTask", "manualTask"}),
    "candidateUsers": frozenset({"userTask", "manualTask"}),
    "candidateGroups": frozenset({"userTask", "manualTask"}),
    "dueDate": frozenset({"userTask", "manualTask"}),
    "followUpDate": frozenset({"userTask", "manualTask"}),
    "priority": frozenset({"userTask", "manualTask"}),
    "resultVariable": frozenset({"scriptTask"}),
    "resource": frozenset({"scriptTask"}),
    "collection": frozenset({"multiInstanceLoopCharacteristics"}),
    "elementVariable": frozenset({"multiInstanceLoopCharacteristics"}),
    "calledElementBinding": frozenset({"callActivity"}),
}
_HARMLESS = frozenset(
    """asyncBefore asyncAfter async exclusive jobPriority taskPriority historyTimeToLive versionTag
    isStartableInTasklist modelerTemplate modelerTemplateVersion modelerTemplateIcon diagramRelationId
    errorMessage""".split()  # noqa: SIM905
)
_YES_OR_NO = frozenset({"asyncBefore", "asyncAfter", "async", "exclusive", "isStartableInTasklist"})
_CODE = frozenset({"class", "formHandlerClass", "delegateExpression", "expression", "variableMappingClass",
                   "variableMappingDelegateExpression", "type", "topic", "decisionRef", "caseRef"})  # fmt: skip
_CHILDREN = frozenset({"formData", "properties", "inputOutput"})
_FORM = frozenset({"formKey", "formRef", "formRefBinding", "formRefVersion"})
_LISTENERS = frozenset({"executionListener", "taskListener"})
_MAPPED = frozenset({"scriptTask", "userTask", "manualTask", "task", "sendTask", "receiveTask", "callActivity",
                     "subProcess", "transaction"})  # fmt: skip
_EFFECTIVE = frozenset({"task", "userTask", "manualTask", "scriptTask"})
EFFECT = "effect"
_UNBOUND = frozenset({"serviceTask", "sendTask", "businessRuleTask"})
_SPIFF_KNOWN = frozenset({"properties", "property", "instructionsForEndUser", "unitTests",
                          "unitTest", "guestConfirmation", "taskMetadataValues"})  # fmt: skip


def check(model: Model) -> dict[str, UserTaskInfo]:
    """Checks every extension of the executable processes; gives who may do which task."""
    for process in model.processes:
        for node in process.iter(f"{B}*"):
            if kind(node) != "extensionElements":
                _check_attributes(model, node)
            else:
                _check_children(model, node)
    for tag in ("message", "signal", "error", "escalation"):
        for extensions in model.root.iterfind(f"{B}{tag}/{B}extensionElements"):
            _check_children(model, extensions)
    return {node.get("id", ""): _info(model, node) for node in model.nodes_of("userTask", "manualTask")}


def _owner(node: Xml) -> Xml:
    """The element people see for something inside it."""
    while kind(node) in ("extensionElements", "multiInstanceLoopCharacteristics") or kind(node).endswith("Definition"):
        node = node.getparent()
    return node


def _check_attributes(model: Model, node: Xml) -> None:
    type_ = kind(node)
    for attribute in node.attrib:
        if not attribute.startswith(C) or type_ in _UNBOUND:
            continue
        name = attribute[len(C) :]
        if name in _YES_OR_NO and node.get(attribute, "").strip() not in ("true", "false"):
            message = f"camunda:{name} is {node.get(attribute)!r}"
            model.report("camunda-extension", _owner(node), message, "write true or false")
        if name in _HARMLESS or type_ in _HONOURED.get(name, ()):
            continue
        if name == "initiator" and type_ == "startEvent":
            _check_initiator(model, node, node.get(attribute, ""))
        elif name in _FORM:
            model.report("form-key", _owner(node), f"a form by {name} is not shown", "list its fields as form data")
        elif name in _CODE:
            model.report("camunda-code", _owner(node), f"camunda:{name} cannot run here", "use a script or user task")
        else:
            model.report("camunda-extension", _owner(node), f"camunda:{name} is not honoured on a {type_}",
                         "take it out, or draw what it does")  # fmt: skip
    if type_ == "callActivity":
        _check_call(model, node)


def _check_initiator(model: Model, event: Xml, variable: str) -> None:
    if not model.by_hand(event):
        model.report("initiator", event, "has no initiator: it is not a person who starts it here",
                     "take camunda:initiator out")  # fmt: skip
    elif not re.fullmatch(r"[^\W\d]\w*", variable):
        model.report("initiator", event, f"{variable!r} cannot be the name of a variable", "rename the initiator")


def _check_children(model: Model, extensions: Xml) -> None:
    owner = _owner(extensions)
    if kind(owner) in _UNBOUND:
        return
    for child in extensions:
        tag = child.tag if isinstance(child.tag, str) else ""
        if tag.startswith(C):
            _check_child(model, owner, child, tag[len(C) :])
        elif tag in SPIFF_REFUSED:
            model.report("unbound-service", owner, f"{SPIFF_REFUSED[tag]} are not run here", "use a script task")
        elif tag.startswith(f"{{{SPIFF}}}") and tag.rpartition("}")[2] not in _SPIFF_KNOWN:
            name = tag.rpartition("}")[2]
            model.report("camunda-extension", owner, f"spiffworkflow:{name} is not honoured", "take it out")


def _check_child(model: Model, owner: Xml, child: Xml, name: str) -> None:
    if name in _LISTENERS:
        model.report("camunda-listener", owner, f"a {name} cannot run here", "draw a script task before or behind it",
                     child.sourceline)  # fmt: skip
    elif name in ("in", "out"):
        _check_mapping(model, owner, child, name)
    elif name == "inputOutput":
        many = any(kind(c).endswith("LoopCharacteristics") for c in owner)
        if kind(owner) not in _MAPPED or many:
            what = "an activity that runs several times" if many else f"a {kind(owner)}"
            model.report("input-output", owner, f"input and output parameters are not honoured on {what}",
                         "set the variables in a script task beside it", child.sourceline)  # fmt: skip
    elif name == "formData":
        if kind(owner) not in ("userTask", "startEvent"):
            model.report("form-key", owner, f"a {kind(owner)} shows no form", "make it a user task", child.sourceline)
    elif name == "properties":
        _check_effect(model, owner, child)
    elif name == "failedJobRetryTimeCycle":
        model.report("retry-cycle", owner, "is not tried again by itself: a failure is an incident at once",
                     "nothing to do; ops retries it", child.sourceline)  # fmt: skip
    elif name not in _CHILDREN:
        model.report("camunda-extension", owner, f"camunda:{name} is not honoured",
                     "take it out, or draw what it does", child.sourceline)  # fmt: skip


def _check_effect(model: Model, owner: Xml, properties: Xml) -> None:
    named = effect_of(owner)
    if not named:
        return
    line = properties.sourceline
    if named not in EFFECTS:
        model.report("effect-unknown", owner, f"there is no effect {named!r}", f"use one of {', '.join(EFFECTS)}", line)
    elif kind(owner) not in _EFFECTIVE:
        model.report("effect-unknown", owner, f"a {kind(owner)} has no effect",
                     "give it to a script or user task", line)  # fmt: skip


def effect_of(node: Xml) -> str:
    """The effect that a task names in its extension properties, "" for none."""
    for one in node.iterfind(f"{B}extensionElements/{C}properties/{C}property"):
        if one.get("name") == EFFECT:
            return one.get("value", "").strip()
    return ""


def _check_mapping(model: Model, owner: Xml, child: Xml, name: str) -> None:
    all_of_it, key = child.get("variables") == "all", child.get("businessKey") is not None
    source = child.get("source") or child.get("sourceExpression")
    if kind(owner) != "callActivity" or child.get("local") in ("true", "1"):
        model.report("call-mapping", owner, f"camunda:{name} is not honoured here", "map variables at a call activity",
                     child.sourceline)  # fmt: skip
    elif child.get("source") and child.get("sourceExpression"):
        model.report("call-mapping", owner, f"camunda:{name} has a source and a source expression",
                     "keep one of them", child.sourceline)  # fmt: skip
    elif not all_of_it and not (key and name == "in") and not (source and child.get("target")):
        model.report("call-mapping", owner, f"camunda:{name} does not say which variable becomes which",
                     'write source and target, or variables="all"', child.sourceline)  # fmt: skip


def _check_call(model: Model, node: Xml) -> None:
    if node.get(f"{C}calledElementBinding", "latest") not in ("latest", "deployment"):
        model.report("camunda-extension", node, "a call is bound to the version deployed with it",
                     "take the binding out")  # fmt: skip
    mapped = any(node.find(f"{B}extensionElements/{C}{tag}") is not None for tag in ("in", "out"))
    if CAMUNDA in node.nsmap.values() and not mapped:
        model.report("call-data", node, "the called process sees and changes all variables", "nothing to do")


def _info(model: Model, node: Xml) -> UserTaskInfo:
    computed: list[list[str]] = []
    roles = _names(model, node, "candidateGroups", assignment.GROUPS, computed)
    users = _names(model, node, "candidateUsers", assignment.USERS, computed)
    assignee = ", ".join(_names(model, node, "assignee", assignment.ASSIGNEE, computed))
    if computed:
        node.set(assignment.COMPUTED, orjson.dumps(computed).decode())
    lane = lane_of(model, node)
    if lane and not roles and not users and not assignee and not computed:
        roles = (lane,)
    return UserTaskInfo(
        candidate_roles=roles,
        candidate_users=users,
        assignee=assignee,
        due=_date(model, node, "dueDate"),
        follow_up=_date(model, node, "followUpDate"),
        priority=_priority(model, node),
        documentation=(node.findtext(f"{B}documentation") or "").strip(),
    )


def _names(model: Model, node: Xml, attribute: str, what: str, computed: list[list[str]]) -> tuple[str, ...]:
    """The names in an attribute; what is an expression goes to *computed*, as [what, Python]."""
    plain: list[str] = []
    for text in _parts(node.get(C + attribute, "")):
        if "${" not in text and "#{" not in text:
            plain.append(text)
            continue
        try:
            compiled = compile_expression(juel.text_to_python(text))
        except ScriptRefused as refused:
            model.report("camunda-assignment", node, f"camunda:{attribute} cannot be read: {refused.message}",
                         refused.fix)  # fmt: skip
            continue
        model.texts.append(Text(node, "other", compiled))
        computed.append([what, compiled.source])
    if what == assignment.ASSIGNEE and len(plain) + sum(one == what for one, _ in computed) > 1:
        model.report("camunda-assignment", node, "camunda:assignee names several people", "use candidateUsers")
    return tuple(plain)


def _parts(text: str) -> list[str]:
    """Names and expressions between commas; a comma inside `${…}` belongs to its expression."""
    return [part.strip() for part in re.split(r",(?![^{]*\})", text) if part.strip()]


def _date(model: Model, node: Xml, attribute: str) -> str:
    text = node.get(C + attribute, "").strip()
    if text and not timers.is_due(text):
        model.report("due-date", node, f"camunda:{attribute} {text[:60]!r} is no time",
                     "write a duration like P2D, counted from the task's start, or a date")  # fmt: skip
        return ""
    return text


def _priority(model: Model, node: Xml) -> int | None:
    text = node.get(f"{C}priority", "").strip()
    if not text:
        return None
    if not text.isdigit() or not text.isascii() or int(text) > 1000:
        model.report("priority", node, f"camunda:priority is {text[:20]!r}", "write a whole number from 0 to 1000")
        return None
    return int(text)


def lane_of(model: Model, node: Xml) -> str:
    """The name of the innermost lane a node stands in; a sub-process's nodes take their sub-process's lane."""
    at = node
    while kind(at) != "process":
        if at.get("id") in model.lanes:
            return model.lanes[at.get("id")]
        at = scope_of(at)
    return ""
