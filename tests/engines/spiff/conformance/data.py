"""Data objects, data of loops, and conversations that correlation keys hold together."""

from __future__ import annotations

import pytest

from app.core.errors import Conflict
from tests.drawing import definitions, script, sequence, user_task
from tests.engines.spiff.conformance.drawn import END, NAMES, START, feature, path
from tests.engines.spiff.runs import Run
from tests.engines.spiff.shapes import catch, event, many, standard_loop, with_loop


def plain(xml: bytes) -> bytes:
    """A file of no vendor, where data objects hold data."""
    return xml.replace(b'xmlns:camunda="http://camunda.org/schema/1.0/bpmn"', b"")


def noted(object_id: str, name: str, variable: str) -> bytes:
    """A script that writes a data object and one that reads it."""
    out = '<bpmn:dataOutputAssociation id="o"><bpmn:targetRef>seen</bpmn:targetRef></bpmn:dataOutputAssociation>'
    into = '<bpmn:dataInputAssociation id="i"><bpmn:sourceRef>seen</bpmn:sourceRef><bpmn:targetRef>b</bpmn:targetRef>'
    objects = f'<bpmn:dataObject id="{object_id}" name="{name}" /><bpmn:dataObjectReference id="seen" '
    return definitions(
        "p",
        START,
        objects + f'dataObjectRef="{object_id}" />',
        script("a", f"{variable} = 5").replace("<bpmn:script>", f"{out}<bpmn:script>"),
        script("b", f"r = {variable} + 1").replace("<bpmn:script>", f"{into}</bpmn:dataInputAssociation><bpmn:script>"),
        END,
        path("start", "a", "b", "end"),
    )


feature("data", "data object and associations", plain(noted("d", "d", "d")), done="start a b end", variables={"r": 6})
feature("data", "data object known by its name", plain(noted("d_1", "d", "d")), done="start a b end",
        variables={"r": 6})  # fmt: skip
feature("data", "data object in a Camunda 7 file", noted("d", "d", "d"), done="start a b end", variables={"r": 6})

DECLARED = (
    '<bpmn:ioSpecification><bpmn:dataInput id="i" name="x" /><bpmn:dataOutput id="o" name="r" /><bpmn:inputSet>'
    "<bpmn:dataInputRefs>i</bpmn:dataInputRefs></bpmn:inputSet><bpmn:outputSet><bpmn:dataOutputRefs>o"
    "</bpmn:dataOutputRefs></bpmn:outputSet></bpmn:ioSpecification>"
)
feature(
    "data",
    "declared inputs and outputs, of an activity that keeps to them",
    sequence("p", script("a", "r = x + 1").replace("<bpmn:script>", f"{DECLARED}<bpmn:script>")),
    done="start a end",
    given={"x": 1},
    variables={"r": 2},
)

_ITEM = '<bpmn:inputDataItem id="item_1" name="item" />'
feature(
    "data",
    "multi-instance: the item is known by its name",
    sequence(
        "p",
        with_loop(script("a", "n = n + item"), many(sequential=True, collection="items", item="item_1")).replace(
            '<bpmn:inputDataItem id="item_1" name="item_1" />', _ITEM
        ),
    ),
    done="start a a end",
    given={"items": [2, 3], "n": 0},
    variables={"n": 5, "item": None, "item_1": None},
)
feature(
    "data",
    "multi-instance: loopCounter in each run",
    sequence("p", with_loop(script("a", "n = n + [loopCounter]"), many(sequential=True, cardinality="3"))),
    done="start a a a end",
    given={"n": []},
    variables={"n": [0, 1, 2], "loopCounter": None},
)
feature(
    "data",
    "standard loop: loopCounter in each turn",
    sequence("p", with_loop(script("a", "n = n + [loopCounter]"), standard_loop(maximum=2))),
    done="start a a end",
    given={"n": []},
    variables={"n": [0, 1], "loopCounter": None},
)


def _retrieved(message: str) -> str:
    inside = "<bpmn:messagePath>order</bpmn:messagePath>"
    return (
        f'<bpmn:correlationPropertyRetrievalExpression messageRef="{message}">{inside}'
        "</bpmn:correlationPropertyRetrievalExpression>"
    )


KEYED = (
    f'{NAMES}<bpmn:correlationProperty id="order" name="order">{_retrieved("m1")}{_retrieved("m2")}'
    '</bpmn:correlationProperty><bpmn:collaboration id="talk"><bpmn:participant id="pool" processRef="p" />'
    '<bpmn:correlationKey id="key" name="key"><bpmn:correlationPropertyRef>order</bpmn:correlationPropertyRef>'
    "</bpmn:correlationKey></bpmn:collaboration>"
)


def answered(run: Run, first: str, second: str) -> None:
    """The message *first* begins a conversation about order 1; *second* about another order is not taken."""
    if first:
        run.deliver("message", first, {"order": 1})
    with pytest.raises(Conflict):
        run.deliver("message", second, {"order": 2})
    with pytest.raises(Conflict):
        run.deliver("message", second, {})
    run.deliver("message", second, {"order": 1})


feature(
    "data",
    "correlation key: the first message sets it, the next must have it",
    sequence("p", catch("a", "message", "m1"), catch("b", "message", "m2"), before=KEYED),
    done="start a b end",
    steps=lambda run: answered(run, "paid", "refused"),
)
feature(
    "data",
    "correlation key of the message that starts the process",
    definitions(
        "p", event("startEvent", "start", "message", "m1"), catch("b", "message", "m2"), END, path("start", "b", "end"),
        before=KEYED,
    ),
    done="start b end",
    given={"order": 1},
    steps=lambda run: answered(run, "", "refused"),
)  # fmt: skip
feature(
    "data",
    "correlation key of a message that the process has sent",
    sequence("p", user_task("t"), event("intermediateThrowEvent", "a", "message", "m1"), catch("b", "message", "m2"),
             before=KEYED),
    done="start t a b end",
    steps=lambda run: answered(run.complete("t", order=1), "", "refused"),
)  # fmt: skip
