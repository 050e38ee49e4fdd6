"""The models that the load runs, drawn here: a form, a booked visit that goes over every engine, one job per engine."""

from __future__ import annotations

from html import escape
from itertools import pairwise

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL"
  xmlns:camunda="http://camunda.org/schema/1.0/bpmn" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
  id="Definitions_Chaos" targetNamespace="http://dams.example/chaos">
"""
FORM, VISIT = "Process_ChaosForm", "Process_ChaosVisit"
LONG, THROWER, CATCHER = "Process_ChaosLong", "Process_ChaosThrower", "Process_ChaosCatcher"
"""A timer of a day; a message, and what it starts."""
JOBS = {engine: f"Process_Chaos{engine.title()}" for engine in ("timer", "celery", "zeebe", "temporal")}
"""The process that asks one engine for one thing and ends with its answer; the relay itself is asked for a timer."""
WITHOUT_ENGINES = (FORM, JOBS["timer"])
PAUSE = "Pause"
"""The timer of every process that has one."""
SLOT_FIELDS = ("docid", "date_scheduled", "time_scheduled", "patientid", "ticketid", "priority_level")
_KINDS = {"patientid": "long", "priority_level": "long", "date_scheduled": "date"}


def drawn() -> dict[str, bytes]:
    """Every model by the id of its process."""
    texts = {
        FORM: _row(FORM, *(_form(f"Form_{n}", f"entry_{n}") for n in range(1, 5))),
        VISIT: _visit(),
        LONG: _row(LONG, _timer("PT24H")),
        CATCHER: _said(_row(CATCHER, '<bpmn:manualTask id="Look" name="Look" />'), begins=True),
        THROWER: _said(_row(THROWER, _THROW)),
        JOBS["timer"]: _row(JOBS["timer"], _timer("PT0.5S")),
        JOBS["celery"]: _row(JOBS["celery"], _job("Count", "pipeline:doctor-stats", "docid")),
        JOBS["zeebe"]: _row(JOBS["zeebe"], _job("Analysis", "zeebe:Process_Diagnostics", "docid", "patientid")),
        JOBS["temporal"]: _row(JOBS["temporal"], _bill()),
    }
    return {process: text.encode() for process, text in texts.items()}


def _row(process: str, *steps: str, further: str = "", ids: tuple[str, ...] = ()) -> str:
    """Steps one after the other between a start and an end."""
    names = ids or ("Begin", *(_id(step) for step in steps), "Done")
    flows = "".join(_flow(one, other) for one, other in pairwise(names))
    inside = f'<bpmn:startEvent id="Begin" name="Begin" />{"".join(steps)}<bpmn:endEvent id="Done" name="Done" />'
    start = f'<bpmn:process id="{process}" name="{process}" isExecutable="true" camunda:historyTimeToLive="1">'
    return f"{HEAD}{start}{inside}{flows}{further}</bpmn:process></bpmn:definitions>"


_DEFINED = '<bpmn:messageEventDefinition messageRef="Message_Chaos" />'
_THROW = f'<bpmn:intermediateThrowEvent id="Say" name="Say">{_DEFINED}</bpmn:intermediateThrowEvent>'


def _said(text: str, *, begins: bool = False) -> str:
    """A drawing with the message, which with *begins* starts the process."""
    message = '<bpmn:message id="Message_Chaos" name="Chaos" />'
    start = '<bpmn:startEvent id="Begin" name="Begin" />'
    text = text.replace("<bpmn:process", f"{message}<bpmn:process")
    return text.replace(start, f"{start[:-3]}>{_DEFINED}</bpmn:startEvent>") if begins else text


def _visit() -> str:
    """Booked as the shipped processes book: the way back is taken where the slot was lost meanwhile."""
    look = _script("Check", "try:\n    _lost = slot_lost\nexcept NameError:\n    _lost = False\nproceed = not _lost")
    steps = (
        _form("Choose", *SLOT_FIELDS),
        look,
        '<bpmn:exclusiveGateway id="Free" name="Free?" default="To_Lost" />',
        _script("Book", "booked = True", effect="book_appointment"),
        _timer("PT2S"),
        _job("Analysis", "zeebe:Process_Diagnostics", "docid", "patientid"),
        _bill(),
        _job("Count", "pipeline:doctor-stats", "docid"),
    )
    before = "".join(_flow(*pair) for pair in pairwise(("Begin", "Choose", "Check", "Free")))
    lost = '<bpmn:endEvent id="Lost" name="Lost" /><bpmn:sequenceFlow id="To_Lost" sourceRef="Free" targetRef="Lost" />'
    return _row(
        VISIT,
        *steps,
        further=before + _flow("Free", "Book", "proceed == True") + lost,
        ids=("Book", PAUSE, "Analysis", "Pay", "Count", "Done"),
    )


def _form(name: str, *fields: str) -> str:
    drawn = "".join(
        f'<camunda:formField id="{field}" label="{field}" type="{_KINDS.get(field, "string")}" />' for field in fields
    )
    inside = f"<bpmn:extensionElements><camunda:formData>{drawn}</camunda:formData></bpmn:extensionElements>"
    return f'<bpmn:userTask id="{name}" name="{name}">{inside}</bpmn:userTask>'


def _script(name: str, source: str, effect: str = "") -> str:
    named = f'<camunda:properties><camunda:property name="effect" value="{effect}" /></camunda:properties>'
    more = f"<bpmn:extensionElements>{named}</bpmn:extensionElements>" if effect else ""
    start = f'<bpmn:scriptTask id="{name}" name="{name}" scriptFormat="python">'
    return f"{start}{more}<bpmn:script>{escape(source)}</bpmn:script></bpmn:scriptTask>"


def _timer(duration: str) -> str:
    inner = f'<bpmn:timeDuration xsi:type="bpmn:tFormalExpression">{duration}</bpmn:timeDuration>'
    definition = f"<bpmn:timerEventDefinition>{inner}</bpmn:timerEventDefinition>"
    return f'<bpmn:intermediateCatchEvent id="{PAUSE}" name="{PAUSE}">{definition}</bpmn:intermediateCatchEvent>'


def _bill() -> str:
    return _job("Pay", "temporal:BillVisitWorkflow", "ticketid", charge="40.00", discount="0.00")


def _job(name: str, topic: str, *variables: str, **constants: str) -> str:
    given = {one: f"${{{one}}}" for one in variables} | constants
    drawn = "".join(
        f'<camunda:inputParameter name="{key}">{text}</camunda:inputParameter>' for key, text in given.items()
    )
    inputs = f"<camunda:inputOutput>{drawn}</camunda:inputOutput>"
    start = f'<bpmn:serviceTask id="{name}" name="{name}" camunda:type="external" camunda:topic="{topic}">'
    return f"{start}<bpmn:extensionElements>{inputs}</bpmn:extensionElements></bpmn:serviceTask>"


def _flow(source: str, target: str, condition: str = "") -> str:
    inner = f'<bpmn:conditionExpression xsi:type="bpmn:tFormalExpression">{condition}</bpmn:conditionExpression>'
    names = f'id="{source}_{target}" sourceRef="{source}" targetRef="{target}"'
    return f"<bpmn:sequenceFlow {names}>{inner if condition else ''}</bpmn:sequenceFlow>"


def _id(step: str) -> str:
    return step.partition('id="')[2].partition('"')[0]
