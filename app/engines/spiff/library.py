"""The one door to SpiffWorkflow. The library ships no types, so what comes from here is `Any` to the type checker and
is given types by the classes that extend it.
"""

from __future__ import annotations

from typing import Any

import SpiffWorkflow.bpmn.parser.event_parsers
import SpiffWorkflow.bpmn.parser.task_parsers
import SpiffWorkflow.bpmn.specs.control
import SpiffWorkflow.bpmn.specs.defaults
import SpiffWorkflow.bpmn.specs.event_definitions
from SpiffWorkflow import bpmn, operators, specs, task
from SpiffWorkflow.bpmn import parser, util
from SpiffWorkflow.bpmn.serializer import DEFAULT_CONFIG, BpmnWorkflowSerializer
from SpiffWorkflow.bpmn.serializer.helpers import DefaultRegistry
from SpiffWorkflow.bpmn.serializer.helpers import spec as event_definition
from SpiffWorkflow.bpmn.specs import bpmn_process_spec, bpmn_task_spec
from SpiffWorkflow.bpmn.specs.event_definitions import base as bpmn_event_definitions
from SpiffWorkflow.bpmn.specs.mixins import multiinstance_task
from SpiffWorkflow.bpmn.specs.mixins.events import event_types
from SpiffWorkflow.bpmn.util import event, subworkflow
from SpiffWorkflow.util.task import TaskState

__all__ = ["TaskState"]

Mixin: Any = object
"""Base of classes that are mixed into the library's and use its attributes."""

Task: Any = task.Task
Workflow: Any = bpmn.BpmnWorkflow
SubWorkflow: Any = subworkflow.BpmnSubWorkflow
Event: Any = util.BpmnEvent
EventManager: Any = event.EventManager
EventDefinition: Any = bpmn_event_definitions.EventDefinition

ProcessSpec: Any = bpmn_process_spec.BpmnProcessSpec
TaskSpec: Any = bpmn_task_spec.BpmnTaskSpec
CatchingEvent: Any = event_types.CatchingEvent
LoopTask: Any = multiinstance_task.LoopTask
control: Any = SpiffWorkflow.bpmn.specs.control
definitions: Any = SpiffWorkflow.bpmn.specs.event_definitions
elements: Any = SpiffWorkflow.bpmn.specs.defaults

Parser: Any = parser.BpmnParser
event_parsers: Any = SpiffWorkflow.bpmn.parser.event_parsers
task_parsers: Any = SpiffWorkflow.bpmn.parser.task_parsers
TaskParser: Any = task_parsers.TaskParser
ValidationException: Any = task_parsers.ValidationException
ProcessParser: Any = Parser.PROCESS_PARSER_CLASS

Serializer: Any = BpmnWorkflowSerializer
Registry: Any = DefaultRegistry
DefinitionConverter: Any = event_definition.EventDefinitionConverter
CONVERTERS: Any = DEFAULT_CONFIG

# SpiffWorkflow's specifications without BPMN, for processes that are written as code or JSON.
WorkflowSpec: Any = specs.WorkflowSpec
StartTask: Any = specs.StartTask
Simple: Any = specs.Simple
ExclusiveChoice: Any = specs.ExclusiveChoice
Attrib: Any = operators.Attrib
Operator: Any = operators.Operator
Equal: Any = operators.Equal
NotEqual: Any = operators.NotEqual
LessThan: Any = operators.LessThan
GreaterThan: Any = operators.GreaterThan
