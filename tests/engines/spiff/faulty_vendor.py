"""Faulty models of the rules about Camunda's attributes and forms, with the problem that each must give."""

from __future__ import annotations

from app.engines.spiff.elements import EFFECTS
from tests import drawing as draw
from tests.engines.spiff.faulty import (
    Fault,
    around,
    extended,
    field,
    looked_up,
    rule,
    task,
)

FAULTS = [
    # Camunda
    Fault(
        "camunda-listener",
        extended('<camunda:taskListener event="create" class="com.Foo" />'),
        "t",
        "a taskListener cannot run here",
        "draw a script task before or behind it",
    ),
    Fault(
        "camunda-code",
        task("", 'camunda:delegateExpression="${foo}"', "manualTask"),
        "t",
        "camunda:delegateExpression cannot run here",
        "use a script or user task",
    ),
    Fault(
        "camunda-extension",
        extended("<camunda:connector />"),
        "t",
        "camunda:connector is not honoured",
        "take it out, or draw what it does",
    ),
    Fault(
        "camunda-assignment",
        task("", 'camunda:assignee="ana, ${starter}"'),
        "t",
        "camunda:assignee names several people",
        "use candidateUsers",
    ),
    Fault(
        "due-date",
        task("", 'camunda:dueDate="tomorrow"'),
        "t",
        "camunda:dueDate 'tomorrow' is no time",
        "write a duration like P2D, counted from the task's start, or a date",
    ),
    Fault(
        "priority",
        task("", 'camunda:priority="high"'),
        "t",
        "camunda:priority is 'high'",
        "write a whole number from 0 to 1000",
    ),
    Fault(
        "form-key",
        task("", 'camunda:formKey="embedded:x.html"'),
        "t",
        "a form by formKey is not shown",
        "list its fields as form data",
    ),
    Fault(
        "initiator",
        around(draw.manual_task("t"), first="t").replace(
            b'<bpmn:startEvent id="start"', b'<bpmn:startEvent id="start" camunda:initiator="who is it"'
        ),
        "start",
        "'who is it' cannot be the name of a variable",
        "rename the initiator",
    ),
    Fault(
        "start-form",
        around(draw.manual_task("t"), first="t").replace(
            b'<bpmn:startEvent id="start" />',
            b'<bpmn:startEvent id="start"><bpmn:extensionElements><camunda:formData><camunda:formField id="doctor" '
            b'type="string"><camunda:properties><camunda:property id="lookup" value="doctors" /></camunda:properties>'
            b"</camunda:formField></camunda:formData></bpmn:extensionElements></bpmn:startEvent>",
        ),
        "start",
        "a start has no look-ups",
        "ask for it in a first user task",
    ),
    # forms
    Fault("field-untyped", field('id="a"'), "t", "field a: has no type and is taken as text", "give it a type"),
    Fault(
        "field-type",
        field('id="a" type="file"'),
        "t",
        "field a: the type 'file' is not known",
        "use one of string, long, double, money, boolean, date, enum",
    ),
    Fault(
        "field-id",
        field('id="first-name" type="string"'),
        "t",
        "the field id 'first-name' cannot be the name of a variable",
        "use letters, digits and underscores; dots for nested data",
    ),
    Fault(
        "field-options",
        field('id="a" type="enum"'),
        "t",
        "field a: an enum needs values with ids",
        "add camunda:value elements",
    ),
    Fault(
        "field-default",
        field('id="a" type="long" defaultValue="x"'),
        "t",
        "field a: its default 'x' does not fit the field: Enter a whole number.",
        "correct it",
    ),
    Fault(
        "field-constraint",
        field('id="a" type="long"', rule("min", "x")),
        "t",
        "field a: min is 'x', which is no number",
        "write a number",
    ),
    Fault(
        "field-constraint",
        field('id="a" type="long"', rule("min", "1.5")),
        "t",
        "field a: min is '1.5', and the field is a whole number",
        "write a whole number, or make it a double",
    ),
    Fault(
        "field-constraint",
        field('id="a" type="long"', rule("required", "maybe")),
        "t",
        "field a: required is 'maybe'",
        "write true or false",
    ),
    Fault(
        "camunda-extension",
        task("", 'camunda:asyncBefore="perhaps"'),
        "t",
        "camunda:asyncBefore is 'perhaps'",
        "write true or false",
    ),
    Fault(
        "camunda-extension",
        task("").replace(b'isExecutable="true"', b'isExecutable="true" camunda:candidateStarterUsers="ana"'),
        "P",
        "camunda:candidateStarterUsers is not honoured on a process",
        "take it out, or draw what it does",
    ),
    Fault(
        "camunda-assignment",
        task("", 'camunda:assignee="desk-${room"'),
        "t",
        "camunda:assignee cannot be read: a `${` is not closed",
        "close it with `}`",
    ),
    Fault(
        "lookup-unknown",
        field('id="a" type="string"', looked_up(lookup="nurses")),
        "t",
        "field a: there is no look-up 'nurses'",
        "use one of specializations, doctors, free_days, free_times, patients, appointments, diagnoses, payments, "
        "requests, administrators, users, groups",
    ),
    Fault(
        "lookup-parameter",
        field('id="a" type="enum"', looked_up(("lookup.city", "town"), lookup="doctors")),
        "t",
        "field a: the look-up doctors takes no 'city'",
        "use specialization",
    ),
    Fault(
        "lookup-parameter",
        field('id="a" type="date"', looked_up(lookup="free_days")),
        "t",
        "field a: the look-up free_days needs 'docid'",
        "add the property lookup.docid with the name of a variable",
    ),
    Fault(
        "lookup-parameter",
        field('id="a" type="enum"', looked_up(("lookup.specialization", "a b"), lookup="doctors")),
        "t",
        "field a: specialization is 'a b', which is neither a variable nor a text",
        "write a variable's name, or a text in single quotes",
    ),
    Fault(
        "lookup-parameter",
        field('id="a" type="boolean"', looked_up(lookup="doctors")),
        "t",
        "field a: a look-up has no meaning for the type boolean",
        "use one of string, long, date, enum",
    ),
    Fault(
        "effect-unknown",
        extended('<camunda:properties><camunda:property name="effect" value="pay" /></camunda:properties>'),
        "t",
        "there is no effect 'pay'",
        f"use one of {', '.join(EFFECTS)}",
    ),
]
