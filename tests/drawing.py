"""Draws small BPMN files for tests: elements in a row, joined by sequence flows."""

from __future__ import annotations

from html import escape
from itertools import pairwise

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL"
  xmlns:camunda="http://camunda.org/schema/1.0/bpmn" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
  id="definitions" targetNamespace="http://dams.example/test" {extra}>
"""


def field(name: str, kind: str = "string", *, required: bool = False, label: str = "", default: str = "") -> str:
    """A `camunda:formField`."""
    rule = '<camunda:validation><camunda:constraint name="required" /></camunda:validation>' if required else ""
    given = f' defaultValue="{escape(default)}"' if default else ""
    start = f'<camunda:formField id="{name}" label="{escape(label or name)}" type="{kind}"{given}>'
    return f"{start}{rule}</camunda:formField>"


def user_task(task_id: str, *fields: str, name: str = "", attributes: str = "") -> str:
    """A user task with a form; *attributes* are written as they are."""
    form = f"<bpmn:extensionElements><camunda:formData>{''.join(fields)}</camunda:formData></bpmn:extensionElements>"
    start = f'<bpmn:userTask id="{task_id}" name="{escape(name or task_id)}" {attributes}>'
    return f"{start}{form if fields else ''}</bpmn:userTask>"


def start_form(*fields: str, attributes: str = "") -> str:
    """The start event of `sequence`, with a form."""
    inside = f"<camunda:formData>{''.join(fields)}</camunda:formData>"
    return (
        f'<bpmn:startEvent id="start" {attributes}>'
        f"<bpmn:extensionElements>{inside}</bpmn:extensionElements></bpmn:startEvent>"
    )


def begun(start_event: str, *steps: str) -> bytes:
    """A `sequence` named Own that begins with *start_event*."""
    return sequence("Own", *steps).replace(b'<bpmn:startEvent id="start" />', start_event.encode())


def manual_task(task_id: str) -> str:
    return f'<bpmn:manualTask id="{task_id}" name="{task_id}" />'


def script(task_id: str, source: str, attributes: str = "") -> str:
    start = f'<bpmn:scriptTask id="{task_id}" name="{task_id}" {attributes}>'
    return f"{start}<bpmn:script>{escape(source)}</bpmn:script></bpmn:scriptTask>"


def gateway(kind: str, gateway_id: str, default: str = "") -> str:
    attribute = f' default="{default}"' if default else ""
    return f'<bpmn:{kind}Gateway id="{gateway_id}" name="{gateway_id}"{attribute} />'


def timer(event_id: str, duration: str) -> str:
    """An intermediate catch event that waits a duration, e.g. ``PT1H``."""
    inner = f'<bpmn:timeDuration xsi:type="bpmn:tFormalExpression">{duration}</bpmn:timeDuration>'
    definition = f"<bpmn:timerEventDefinition>{inner}</bpmn:timerEventDefinition>"
    return f'<bpmn:intermediateCatchEvent id="{event_id}" name="{event_id}">{definition}</bpmn:intermediateCatchEvent>'


def message(event_id: str, ref: str) -> str:
    definition = f'<bpmn:messageEventDefinition messageRef="{ref}" />'
    return f'<bpmn:intermediateCatchEvent id="{event_id}" name="{event_id}">{definition}</bpmn:intermediateCatchEvent>'


def flow(source: str, target: str, condition: str = "", flow_id: str = "") -> str:
    """A sequence flow, with a condition if one is given."""
    inner = (
        f'<bpmn:conditionExpression xsi:type="bpmn:tFormalExpression">{escape(condition)}</bpmn:conditionExpression>'
        if condition
        else ""
    )
    names = f'id="{flow_id or f"{source}_{target}"}" sourceRef="{source}" targetRef="{target}"'
    return f"<bpmn:sequenceFlow {names}>{inner}</bpmn:sequenceFlow>"


def definitions(process_id: str, *inside: str, before: str = "", name: str = "") -> bytes:
    """A whole file with one executable process; *before* stands beside it (messages, errors)."""
    start = f'<bpmn:process id="{process_id}" name="{escape(name or process_id)}" isExecutable="true">'
    process = f"{start}{''.join(inside)}</bpmn:process>"
    return (HEAD.format(extra="") + before + process + "</bpmn:definitions>").encode()


def sequence(process_id: str, *steps: str, before: str = "", name: str = "") -> bytes:
    """Start, *steps* one after another, end. Each step is an element whose id comes first in it."""
    ids = ["start", *(step.split('id="', 1)[1].split('"', 1)[0] for step in steps), "end"]
    flows = [flow(a, b) for a, b in pairwise(ids)]
    elements = ['<bpmn:startEvent id="start" />', *steps, '<bpmn:endEvent id="end" />']
    return definitions(process_id, *elements, *flows, before=before, name=name)
