"""How elements behave on an instance: SpiffWorkflow's task specs without prediction and without walks over the tree.

A specification is restored into these classes. They hold nothing that changes while instances run, so one loaded
specification serves any number of threads. Joins are in `joins`, loops in `loops`, events in `events`.
"""
# SpiffWorkflow's extension points begin with an underscore.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from app.engines.spiff import assignment, compensation, exact, library, mapping
from app.engines.spiff.expressions import compile_expression
from app.engines.spiff.library import Mixin, TaskSpec, TaskState, control, elements
from app.engines.spiff.scopes import Failure
from app.engines.spiff.tokens import Token
from app.engines.spiff.values import same

if TYPE_CHECKING:
    from app.engines.spiff.scopes import SubScope

_EXPECTANT = TaskState.PREDICTED_MASK | TaskState.FUTURE | TaskState.WAITING


class CannotGoOn(Exception):
    """An element has no way to go on. Becomes an incident."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.failure = Failure(code, message, 0)


class Flow(Mixin):
    """Mixed into every task spec. SpiffWorkflow predicts the whole way ahead; here children are made when a token runs.

    ``rank`` orders what can run (smaller first), ``trace_id`` is the id that the trace shows or None, a ``quiet``
    element is shown as entered when it can run rather than when a token reaches it, a ``momentary`` one only once it
    has run, and one that ``looks_around`` depends on other tokens of its scope.
    """

    rank = 2
    quiet = False
    momentary = False
    looks_around = False
    tells_all = False
    """The trace shows `reached` and `ready`, SpiffWorkflow's events of a task, instead of one `entered`."""
    trace_id: str | None = None
    chooses = False
    """The run itself makes the children, as a gateway with conditions does."""
    aside = False
    """Waits for an event of its scope, and does not keep the scope from ending."""
    watches = False
    """Waits for a condition on the data."""
    repeats = False
    undone_by: str | None = None
    """The name of what undoes the activity once it has finished."""
    event_sub = False
    """An event sub-process: what is undone from inside it was done around it."""
    shares_data = False
    """Runs a scope that works on the data around it."""
    remembers = False
    """Finishing it may be something to undo."""
    takes: mapping.Rules = ()
    gives: mapping.Rules = ()
    """Camunda's input and output parameters."""
    outs: mapping.Rules | None = None
    """What a call activity gives back, None for all."""
    job: dict[str, Any] | None = None
    """What another engine does here: `topic`, rules of its `inputs` and `outputs`, name of its `result`."""
    shown_id: str | None = None
    """The id that waits and incidents show: also for elements that the trace leaves out."""
    bpmn_id: str | None
    outputs: list[Any]
    manual: bool

    def foresee(self, token: Token) -> None:
        """Called before a run, for the few elements that must have their children before it."""

    def _predict(self, *_args: Any, **_kwargs: Any) -> None:
        """Nothing is predicted."""

    def _update(self, my_task: Token) -> None:
        if self._update_hook(my_task):
            if self.takes and "local" not in my_task.internal_data:
                mapping.enter(my_task, self.takes)
            my_task._ready()

    def _on_ready(self, my_task: Token) -> None:
        self._on_ready_hook(my_task)

    def _run(self, my_task: Token) -> bool | None:
        return self._run_hook(my_task)

    def _on_complete(self, my_task: Token) -> None:
        if self.takes or self.gives:
            mapping.leave(my_task, self.takes, self.gives)
        if my_task.triggered and compensation.undoes(my_task):
            self._on_complete_hook(my_task)
            compensation.went(my_task)
            return
        if not self.chooses:
            my_task._sync_children(self.outputs, TaskState.FUTURE)
        self._on_complete_hook(my_task)
        if self.remembers:
            compensation.remember(my_task)
        for child in my_task.children:
            if child._state & _EXPECTANT and child.id in my_task.workflow.tasks:
                my_task.workflow.top_workflow.guarded_update(child)
        my_task.workflow._task_completed_notify(my_task)


class ProcessSpec(library.ProcessSpec):
    """A restored process; ``end`` is the restored join, which the base class leaves pointing at a discarded one."""

    undone_by: str | None = None
    enough: str | None = None
    """The completion condition of an ad-hoc sub-process, which ends what is left in it."""


class Begin(Flow, control.BpmnStartTask):
    """Begins a scope with one of its start events, and lets its listeners wait."""

    chooses = True

    def _run_hook(self, my_task: Token) -> bool:
        wanted = my_task.internal_data.get("start")
        starts = [spec for spec in self.outputs if not spec.aside]
        plain = [spec for spec in starts if spec.is_plain]
        chosen = [spec for spec in starts if spec.bpmn_id == wanted] or plain or starts
        my_task.internal_data = {}
        my_task._sync_children([*(spec for spec in self.outputs if spec.aside), chosen[0]], TaskState.FUTURE)
        return True


class Internal(Flow, control.SimpleBpmnTask):
    pass


class _ForPeople(Flow):
    assigns: Sequence[Sequence[str]] = ()
    """Expressions that name who may do the task."""

    def _update(self, my_task: Token) -> None:
        if self.assigns and assignment.KEPT not in my_task.internal_data and self._update_hook(my_task):
            assignment.assign(my_task, self.assigns)
        super()._update(my_task)


class UserTask(_ForPeople, elements.UserTask):
    pass


class ManualTask(_ForPeople, elements.ManualTask):
    pass


class PlainTask(Flow, elements.NoneTask):
    """An abstract task does nothing and waits for nobody, as in other engines."""

    def __init__(self, wf_spec: Any, bpmn_id: str, **kwargs: Any) -> None:
        super().__init__(wf_spec, bpmn_id, **kwargs)
        self.manual = False


class ScriptTask(Flow, elements.ScriptTask):
    pass


class Exactly:
    """A condition of a coded process: computed over decimals, without a sandbox."""

    def __init__(self, expression: str) -> None:
        self.compiled = compile_expression(expression)

    def _matches(self, my_task: Token) -> bool:
        return bool(exact.evaluate(self.compiled, my_task.data))


class ExclusiveGateway(Flow, elements.ExclusiveGateway):
    chooses = True

    def _run_hook(self, my_task: Token) -> bool:
        chosen = self.default_task_spec
        for condition, name in self.cond_task_specs:
            if condition is not None and condition._matches(my_task):
                chosen = name
                break
        if chosen is None:
            raise CannotGoOn("no-flow-matches", "no condition of the gateway holds and it has no default flow")
        my_task._sync_children([my_task.workflow.spec.task_specs[chosen]], TaskState.FUTURE)
        return True


class _Split(Flow):
    """The element in front of an activity with boundary events, or of several start events: starts all of them."""

    event_type: type
    chooses = True

    def foresee(self, token: Token) -> None:
        for spec in self.outputs:
            is_event = isinstance(spec, self.event_type)
            token._add_child(spec, TaskState.MAYBE if is_event else TaskState.FUTURE)


class BoundarySplit(_Split, control.BoundaryEventSplit):
    pass


class StartSplit(_Split, control.StartEventSplit):
    pass


class _Hosting(Flow):
    """An activity that runs a scope of its own."""

    spec: str
    remembers = True

    def _update_hook(self, my_task: Token) -> bool:
        top = my_task.workflow.top_workflow
        scope = top.subprocesses.get(my_task.id)
        if scope is not None:
            return scope.completed
        if self.spec not in top.subprocess_specs:
            raise CannotGoOn("process-missing", f"the called process {self.spec} is not there")
        if my_task.workflow.depth >= top.bounds.call_depth:
            raise CannotGoOn("call-depth", f"processes call each other more than {top.bounds.call_depth} deep")
        TaskSpec._update_hook(self, my_task)
        if self.takes:
            mapping.enter(my_task, self.takes)
        scope = top.create_subprocess(my_task, self.spec)
        scope.plant()
        my_task._set_state(TaskState.STARTED)
        self.copy_data(my_task, scope)
        scope.task_tree.run()
        return False

    def copy_data(self, my_task: Token, subworkflow: SubScope) -> None:
        subworkflow.task_tree.data = dict(my_task.data)

    def update_data(self, my_task: Token, subworkflow: SubScope) -> None:
        if subworkflow.last_task is not None:
            my_task.data = dict(subworkflow.last_task.data)

    def _on_subworkflow_completed(self, subworkflow: SubScope, my_task: Token) -> None:
        if my_task.unfinished():
            before = my_task.data
            self.update_data(my_task, subworkflow)
            if not self.shares_data:
                my_task.workflow.top_workflow.keep_changes(my_task, before)
            my_task._set_state(TaskState.READY)

    def _on_cancel(self, my_task: Token) -> None:
        scope = my_task.workflow.top_workflow.subprocesses.get(my_task.id)
        if scope is not None and not scope.completed:
            scope.cancel()


class SubProcess(_Hosting, elements.SubWorkflowTask):
    shares_data = True


class Transaction(_Hosting, elements.TransactionSubprocess):
    shares_data = True


class CallActivity(_Hosting, elements.CallActivity):
    """A called process sees what is mapped in, else the data its ``ioSpecification`` names, or all if it names none."""

    ins: mapping.Rules | None = None

    def copy_data(self, my_task: Token, subworkflow: SubScope) -> None:
        if self.ins is not None:
            subworkflow.task_tree.data = mapping.mapped(my_task, self.ins, my_task.data, {})
            return
        wanted = subworkflow.spec.io_specification
        if wanted is None or not wanted.data_inputs:
            super().copy_data(my_task, subworkflow)
            return
        missing = [item.bpmn_id for item in wanted.data_inputs if not item.exists(my_task)]
        if missing:
            raise CannotGoOn("input-missing", f"the called process needs {', '.join(missing)}")
        subworkflow.task_tree.data = {item.bpmn_id: item.get(my_task) for item in wanted.data_inputs}

    def update_data(self, my_task: Token, subworkflow: SubScope) -> None:
        """What the called process has changed; what it never touched may have been set beside it meanwhile."""
        given, end = subworkflow.spec.io_specification, subworkflow.last_task
        if self.outs is not None:
            if end is not None:
                my_task.data = mapping.mapped(my_task, self.outs, end.data, my_task.data)
            return
        if given is None or not given.data_outputs or end is None:
            back = {} if end is None else end.data
            had = my_task.data
            my_task.data = {**had, **{n: v for n, v in back.items() if n not in had or not same(had[n], v)}}
            return
        found = {item.bpmn_id: item.get(end) for item in given.data_outputs if item.exists(end)}
        my_task.data = {**my_task.data, **found}
