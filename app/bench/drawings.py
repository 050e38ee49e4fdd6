"""Models whose size is a parameter: a form in a loop, a script in a loop, many forms in a row."""

from __future__ import annotations

from itertools import pairwise

from app.engines.spiff import specs
from app.engines.spiff.specs import BundleFile, LoadedSpec

_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" id="bench"
  xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:camunda="http://camunda.org/schema/1.0/bpmn"
  targetNamespace="http://dams.example/bench"><bpmn:process id="p" name="p" isExecutable="true">"""
_TAIL = "</bpmn:process></bpmn:definitions>"
_START, _END = '<bpmn:startEvent id="start" />', '<bpmn:endEvent id="end" />'


def loaded(xml: bytes) -> LoadedSpec:
    """The process of a file, as instances get it."""
    return specs.load_spec(specs.check_bundle([BundleFile("bench.bpmn", xml)]).models[0].spec)


def row_of_forms(count: int) -> bytes:
    """*count* user tasks one after another, each with one field."""
    names = ["start", *(f"t{number}" for number in range(count)), "end"]
    forms = "".join(_form(name) for name in names[1:-1])
    flows = "".join(_flow(a, b) for a, b in pairwise(names))
    return f"{_HEAD}{_START}{forms}{_END}{flows}{_TAIL}".encode()


def form_in_a_loop(turns: int) -> bytes:
    """A user task that comes again until it was completed *turns* times."""
    return _loop(turns, _form("t0"), _script("count", "turn = turn + 1"))


def script_in_a_loop(turns: int) -> bytes:
    """The same without anybody to wait for."""
    return _loop(turns, _script("count", "turn = turn + 1"))


def _loop(turns: int, *inside: str) -> bytes:
    ids = [element.split('id="', 1)[1].split('"', 1)[0] for element in inside]
    gateways = '<bpmn:exclusiveGateway id="merge" /><bpmn:exclusiveGateway id="again" default="again_end" />'
    condition = (
        f'<bpmn:conditionExpression xsi:type="bpmn:tFormalExpression">turn &lt; {turns}</bpmn:conditionExpression>'
    )
    flows = "".join(_flow(a, b) for a, b in pairwise(["start", "merge", *ids, "again", "end"]))
    return (
        f"{_HEAD}{_START}{gateways}{''.join(inside)}{_END}{flows}{_flow('again', 'merge', condition)}{_TAIL}".encode()
    )


def _form(name: str) -> str:
    field = f'<camunda:formField id="f_{name}" label="{name}" type="string" />'
    form = f"<bpmn:extensionElements><camunda:formData>{field}</camunda:formData></bpmn:extensionElements>"
    return f'<bpmn:userTask id="{name}" name="{name}">{form}</bpmn:userTask>'


def _script(name: str, source: str) -> str:
    text = source.replace("<", "&lt;")
    return f'<bpmn:scriptTask id="{name}" name="{name}"><bpmn:script>{text}</bpmn:script></bpmn:scriptTask>'


def _flow(source: str, target: str, inner: str = "") -> str:
    start = f'<bpmn:sequenceFlow id="{source}_{target}" sourceRef="{source}" targetRef="{target}"'
    return f"{start}>{inner}</bpmn:sequenceFlow>" if inner else f"{start} />"
