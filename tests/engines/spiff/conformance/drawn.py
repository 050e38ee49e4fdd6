"""Words for the conformance models, and the list they make."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

from tests.drawing import definitions, flow, script
from tests.engines.spiff.runs import Run
from tests.engines.spiff.shapes import END, START, event

HOUR = timedelta(hours=1)
Steps = Callable[[Run], Any]


def nothing(_run: Run) -> None:
    """It runs to its end by itself."""


@dataclass(frozen=True)
class Feature:
    """A construct and the model that shows it. ``done`` is the ids that completed, in order; gateways count."""

    family: str
    name: str
    files: tuple[bytes, ...]
    done: str
    steps: Steps = nothing
    given: dict[str, Any] = dataclasses.field(default_factory=dict[str, Any])
    status: str = "completed"
    variables: dict[str, Any] = dataclasses.field(default_factory=dict[str, Any])
    incident: str = ""


NAMES = (
    '<bpmn:message id="m1" name="paid" /><bpmn:message id="m2" name="refused" /><bpmn:signal id="s1" name="closing" />'
    '<bpmn:error id="err1" name="lost" errorCode="LOST" /><bpmn:error id="err2" name="other" errorCode="OTHER" />'
    '<bpmn:escalation id="c1" name="late" escalationCode="LATE" />'
)
FEATURES: list[Feature] = []


def feature(family: str, name: str, *files: bytes, done: str, steps: Steps = nothing, **more: Any) -> None:
    FEATURES.append(Feature(family, name, tuple(associated(xml) for xml in files), done, steps, **more))


def associated(xml: bytes) -> bytes:
    """The schema wants artifacts behind the flow elements."""
    found = re.findall(rb"<bpmn:association [^>]*/>", xml)
    return re.sub(rb"<bpmn:association [^>]*/>", b"", xml).replace(
        b"</bpmn:process>", b"".join(found) + b"</bpmn:process>", 1
    )


def path(*ids: str) -> str:
    """Flows from each to the next."""
    return "".join(flow(a, b) for a, b in pairwise(ids))


def end(event_id: str, kind: str = "", what: str = "") -> str:
    return event("endEvent", event_id, kind, what)


def conditional(condition: str) -> str:
    return (
        '<bpmn:conditionalEventDefinition><bpmn:condition xsi:type="bpmn:tFormalExpression">'
        f"{condition}</bpmn:condition></bpmn:conditionalEventDefinition>"
    )


def event_sub(sub_id: str, definition: str, *inside: str, interrupts: bool = True) -> str:
    """An event sub-process `sub_id` with start `sub_id.on` and the task or script `inside`, then its end."""
    quiet = "" if interrupts else ' isInterrupting="false"'
    first = inside[0].split('id="', 1)[1].split('"', 1)[0]
    return (
        f'<bpmn:subProcess id="{sub_id}" triggeredByEvent="true">'
        f'<bpmn:startEvent id="{sub_id}.on"{quiet}>{definition}</bpmn:startEvent>{"".join(inside)}'
        f'<bpmn:endEvent id="{sub_id}.off" />{path(f"{sub_id}.on", first, f"{sub_id}.off")}</bpmn:subProcess>'
    )


def undone(host: str, handler: str) -> str:
    """A compensation boundary event at `host` and the script `undo_<host>`, or *handler*."""
    first = handler.split('id="', 1)[1].split('"', 1)[0]
    tag, rest = handler.split(" ", 1)
    return (
        f'<bpmn:boundaryEvent id="{host}.undo" attachedToRef="{host}"><bpmn:compensateEventDefinition />'
        f'</bpmn:boundaryEvent>{tag} isForCompensation="true" {rest}'
        f'<bpmn:association id="{host}.association" sourceRef="{host}.undo" targetRef="{first}" />'
    )


def compensate(tag: str, event_id: str, what: str = "") -> str:
    ref = f' activityRef="{what}"' if what else ""
    return f'<bpmn:{tag} id="{event_id}"><bpmn:compensateEventDefinition{ref} /></bpmn:{tag}>'


MESSAGE, SIGNAL = '<bpmn:messageEventDefinition messageRef="m1" />', '<bpmn:signalEventDefinition signalRef="s1" />'
TIMER = "<bpmn:timerEventDefinition><bpmn:timeDuration>PT1H</bpmn:timeDuration></bpmn:timerEventDefinition>"
ERROR, ESCALATION = (
    '<bpmn:errorEventDefinition errorRef="err1" />',
    '<bpmn:escalationEventDefinition escalationRef="c1" />',
)


def beside(host: str, event_: str, host_id: str = "a") -> bytes:
    return definitions(
        "p",
        START,
        host,
        event_,
        script("react", "r = 1"),
        END,
        end("e2"),
        path("start", host_id, "end"),
        path("b", "react", "e2"),
        before=NAMES,
    )
