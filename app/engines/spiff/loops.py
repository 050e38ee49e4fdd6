"""Loops and multi-instance activities, with a state that does not grow with the number of turns.

SpiffWorkflow keeps the id of every finished turn and merges each turn's data list by list; a sequential activity
with an input item but no output breaks on its second item. Here a counter is kept, and what a turn set replaces
what was there. Outputs stand in the order of the inputs.
"""
# SpiffWorkflow's extension points begin with an underscore.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import Any, cast

from app.engines.spiff import compensation, happenings
from app.engines.spiff.library import TaskSpec, TaskState, elements
from app.engines.spiff.nodes import CannotGoOn, Flow
from app.engines.spiff.tokens import Token
from app.engines.spiff.values import merge, same

MAX_PARALLEL = 10_000
"""Runs of one parallel activity; more would not fit into one instance's data."""


COUNTER = "loopCounter"
"""Which run it is, from 0: the standard's attribute of each run, and Camunda's variable of the same name."""


def _without(data: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in names}


class _Turning(Flow):
    """The body around an activity that runs several times. ``task_spec`` is the name of the activity's own spec."""

    task_spec: str

    @property
    def own_names(self) -> set[str]:
        """Variables that belong to one run."""
        return {COUNTER}

    def _begin(self, token: Token) -> None:
        token.data = {}
        TaskSpec._update_hook(self, token)
        token.internal_data = {"done": 0}
        token._set_state(TaskState.STARTED)

    def _add_turn(self, token: Token, number: int, extra: dict[str, Any], **internal: Any) -> None:
        turn = Token(token.workflow, token.workflow.spec.task_specs[self.task_spec], token, TaskState.FUTURE)
        turn.triggered = True
        turn.internal_data = {"iteration": number, **internal}
        turn.data = {**token.data, **extra, COUNTER: number}
        token.workflow.top_workflow.guarded_update(turn)


class StandardLoop(_Turning, elements.StandardLoopTask):
    """Runs while the condition holds, at most ``maximum`` times."""

    def _update_hook(self, my_task: Token) -> bool:
        self._begin(my_task)
        if self.test_before and self.loop_complete(my_task):
            return True
        self._add_turn(my_task, 0, {})
        return False

    def merge_child(self, _workflow: Any, child: Token) -> None:
        if compensation.undoes(child):
            return  # a turn that was opened again to be undone counts no more
        body = cast("Token", child.parent)
        before = body.data, body.internal_data
        body.data = {**body.data, **_without(child.data, {COUNTER})}
        body.workflow.top_workflow.keep_changes(body, before[0])
        body.internal_data = {"done": body.internal_data["done"] + 1}
        try:
            complete = self.loop_complete(body)
        except Exception:
            body.data, body.internal_data = before  # the turn will be run again
            raise
        if complete:
            body._set_state(TaskState.READY)
        else:
            self._add_turn(body, body.internal_data["done"], {})

    def loop_complete(self, my_task: Token) -> bool:
        done = my_task.internal_data["done"]
        if self.maximum is not None and done >= self.maximum:
            return True
        if self.condition is None:
            return False
        context = {"loopCounter": done}
        return not my_task.workflow.script_engine.evaluate(my_task, self.condition, context)


class _MultiInstance(_Turning):
    """One run per item of a collection, or per number below a cardinality."""

    cardinality: str | None
    data_input: Any
    data_output: Any
    input_item: Any
    output_item: Any
    condition: str | None
    together = False
    """All runs begin at once."""

    @property
    def own_names(self) -> set[str]:
        return {COUNTER, *(item.bpmn_id for item in (self.input_item, self.output_item) if item is not None)}

    def _update_hook(self, my_task: Token) -> bool:
        self._begin(my_task)
        items = self._items(my_task)
        count = items if isinstance(items, int) else len(items)
        my_task.internal_data = {"done": 0, "next": 0, "count": count, "outputs": {}}
        if self.data_input is not None:
            my_task.internal_data["items"] = items
        if not count:
            self._finish(my_task)
            return True
        self._spread(my_task)
        return False

    def _spread(self, body: Token) -> None:
        """Start the first runs."""
        raise NotImplementedError

    def _follow(self, body: Token) -> None:
        """One run is done and more are wanted."""

    def _items(self, body: Token) -> Any:
        engine = body.workflow.script_engine
        if self.data_input is None:
            count = engine.evaluate(body, self.cardinality)
            if not isinstance(count, int) or isinstance(count, bool) or count < 0:
                raise CannotGoOn("multi-instance", "the loop cardinality is no whole number from 0")
            return count
        name = self.data_input.bpmn_id
        found = body.data[name] if name in body.data else engine.evaluate(body, name)
        if isinstance(found, dict):
            return list(cast("dict[str, Any]", found).items())
        if not isinstance(found, list):
            raise CannotGoOn("multi-instance", f"the collection {name} is neither a list nor a dictionary")
        return [[None, item] for item in cast("list[Any]", found)]

    def _next(self, body: Token) -> None:
        state = body.internal_data
        number = state["next"]
        body.internal_data = {**state, "next": number + 1}
        key, item = state["items"][number] if "items" in state else (None, number)
        extra = {self.input_item.bpmn_id: item} if self.input_item is not None else {}
        self._add_turn(body, number, extra, key=key)

    def merge_child(self, _workflow: Any, child: Token) -> None:
        if compensation.undoes(child):
            return  # a run that was opened again to be undone counts no more
        body = cast("Token", child.parent)
        state = body.internal_data
        outputs = state["outputs"]
        if self.data_output is not None and self.output_item is not None:
            if not self.output_item.exists(child):
                raise CannotGoOn("multi-instance", f"the run did not set its output {self.output_item.bpmn_id}")
            key = child.internal_data["key"]
            number = str(child.internal_data["iteration"])
            outputs = {**outputs, number: [key, self.output_item.get(child)]}
        else:
            self._take_changes(body, _without(child.data, self.own_names))
        done = state["done"] + 1
        self._tell(child, body, done)
        enough = done == state["count"] or self._enough(child, body, done)
        body.internal_data = {**body.internal_data, "done": done, "outputs": outputs}
        if enough:
            self._finish(body)
            for other in body.children:
                if other.triggered and other is not child:
                    other.cancel()
            body._set_state(TaskState.READY)
        else:
            self._follow(body)

    def _take_changes(self, body: Token, data: dict[str, Any]) -> None:
        """What one run has changed since all of them began; what another has set meanwhile stays."""
        state, before = body.internal_data, body.data
        began: dict[str, list[Any]] = state.get("began", {})
        at_first = {**before, **{name: value[0] for name, value in began.items() if value}}
        unset = {name for name, value in began.items() if not value}
        changed = {
            name: value
            for name, value in data.items()
            if name in unset or name not in at_first or not same(at_first[name], value)
        }
        if self.together:
            first = {name: [before[name]] if name in before else [] for name in changed if name not in began}
            body.internal_data = {**state, "began": {**began, **first}}
        body.data = merge(before, changed) if self.together else {**before, **changed}
        body.workflow.top_workflow.keep_changes(body, before)

    def _enough(self, child: Token, body: Token, done: int) -> bool:
        return self.condition is not None and self._holds(self.condition, child, body, done)

    def _holds(self, condition: str, child: Token, body: Token, done: int) -> bool:
        count, active = body.internal_data["count"], body.internal_data["next"] - done
        context = {"nrOfInstances": count, "nrOfCompletedInstances": done, "nrOfActiveInstances": active}
        return bool(body.workflow.script_engine.evaluate(child, condition, context))

    def _tell(self, child: Token, body: Token, done: int) -> None:
        """Throw the events of its behavior: `checks.behaviors` says what stands in ``tells``."""
        tells: list[list[str]] = getattr(child.task_spec, "tells", [])
        due = [one for one in tells if not one[0] or (one[0] == "first" and done == 1)
               or (one[0] != "first" and self._holds(one[0], child, body, done))]  # fmt: skip
        for _, kind, name, code in due:
            happenings.tell(child, kind, name, code)

    def _finish(self, body: Token) -> None:
        """Write the collected outputs: by key where the input was a dictionary or the output is one, else in order."""
        outputs = body.internal_data["outputs"]
        if self.data_output is not None:
            found = [outputs[number] for number in sorted(outputs, key=int)]
            name = self.data_output.bpmn_id
            before = body.data.get(name)
            if isinstance(before, dict) or (found and found[0][0] is not None):
                keyed = {str(number if key is None else key): value for number, (key, value) in enumerate(found)}
                body.data = {**body.data, name: {**(before if isinstance(before, dict) else {}), **keyed}}
            else:
                body.data = {**body.data, name: [value for _, value in found]}
        body.internal_data = {"done": body.internal_data["done"]}


class ParallelMultiInstance(_MultiInstance, elements.ParallelMultiInstanceTask):
    together = True

    def _spread(self, body: Token) -> None:
        if body.internal_data["count"] > MAX_PARALLEL:
            raise CannotGoOn("multi-instance", f"more than {MAX_PARALLEL} runs at once")
        for _ in range(body.internal_data["count"]):
            self._next(body)


class SequentialMultiInstance(_MultiInstance, elements.SequentialMultiInstanceTask):
    def _spread(self, body: Token) -> None:
        self._next(body)

    def _follow(self, body: Token) -> None:
        self._next(body)
