"""SpiffWorkflow as it comes, with its own serializer, driven like one of our instances."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import time_machine
from lxml import etree
from SpiffWorkflow.bpmn import BpmnEvent, BpmnWorkflow
from SpiffWorkflow.bpmn.parser.BpmnParser import BpmnParser
from SpiffWorkflow.bpmn.serializer import BpmnWorkflowSerializer
from SpiffWorkflow.bpmn.specs.event_definitions import MessageEventDefinition
from SpiffWorkflow.bpmn.specs.event_definitions.timer import TimerEventDefinition
from SpiffWorkflow.task import Task
from SpiffWorkflow.util.task import TaskState

_SERIALIZER = BpmnWorkflowSerializer()


class Stock:
    """One instance, saved and read back before every step."""

    def __init__(self, files: list[bytes], variables: dict[str, Any], now: datetime) -> None:
        parser = BpmnParser()
        for xml in files:
            parser.add_bpmn_xml(etree.fromstring(xml))
        name = etree.fromstring(files[0]).find("{*}process").get("id")
        self.now = now
        with time_machine.travel(now, tick=False):
            self.workflow = BpmnWorkflow(parser.get_spec(name), parser.get_subprocess_specs(name))
            self.workflow.get_next_task(spec_name="Start").data.update(variables)
            self._run()

    def complete(self, number: int, values: dict[str, Any]) -> None:
        with self._again():
            task = self._open()[number]
            task.set_data(**values)
            task.run()
            self._run()

    def deliver(self, name: str) -> None:
        with self._again():
            self.workflow.send_event(BpmnEvent(MessageEventDefinition(name), payload={}))
            self._run()

    def advance(self, now: datetime) -> None:
        self.now = now
        with self._again():
            self._run()

    def view(self) -> dict[str, Any]:
        """What the two engines must agree on."""
        completed = self.workflow.is_completed()
        return {
            "completed": completed,
            "open": [task.task_spec.bpmn_id for task in self._open()],
            "waiting": sorted(self._waiting()),
            "data": dict(self.workflow.data) if completed else None,
        }

    def _again(self) -> time_machine.travel:
        self.workflow = _SERIALIZER.deserialize_json(_SERIALIZER.serialize_json(self.workflow))
        return time_machine.travel(self.now, tick=False)

    def _run(self) -> None:
        self.workflow.do_engine_steps()
        self.workflow.do_engine_steps()  # a timer that fires in the refresh at the end has made others ready

    def _open(self) -> list[Task]:
        tasks = self.workflow.get_tasks(state=TaskState.READY, manual=True, max_depth=10**6)
        return sorted(tasks, key=lambda task: seen(task.task_spec.bpmn_id, task.data))

    def _waiting(self) -> Iterator[tuple[str, str]]:
        for task in self.workflow.event_manager.tasks.values():
            definition = task.task_spec.event_definition
            for one in getattr(definition, "event_definitions", [definition]):
                if isinstance(one, MessageEventDefinition):
                    yield "message", one.name
                elif isinstance(one, TimerEventDefinition):
                    yield "timer", task.task_spec.bpmn_id


def seen(element: str, data: dict[str, Any]) -> str:
    return f"{element} {sorted(data.items())}"
