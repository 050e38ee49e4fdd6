"""Elements that catch and throw, and who catches what inside an instance. What events are about is in `happenings`.

SpiffWorkflow lets any waiting boundary event of a scope catch an error and starts event sub-processes at the top only.
Here an error goes to what is around it, innermost first, and each scope has its own listeners.
"""
# SpiffWorkflow's extension points begin with an underscore.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.engines.spiff import compensation, happenings, mapping
from app.engines.spiff.joins import BoundaryJoin
from app.engines.spiff.library import EventManager, TaskSpec, TaskState, elements
from app.engines.spiff.nodes import CannotGoOn, Flow
from app.engines.spiff.tokens import Token
from app.engines.spiff.values import merge


class Catching(Flow):
    """An element that waits for an event. One that ``repeats`` goes on waiting after it has caught one."""

    event_definition: Any
    repeats = False
    _KEPT = ("iteration", "key", "local")
    """What a run of a loop or a mapping of variables has left with the token."""

    def _run_hook(self, my_task: Token) -> bool:
        self.event_definition.update_task_data(my_task)
        my_task.internal_data = {
            name: my_task.internal_data[name] for name in self._KEPT if name in my_task.internal_data
        }
        return True

    def _on_cancel(self, my_task: Token) -> None:
        my_task.workflow.top_workflow.event_manager.remove_task(my_task)


class StartEvent(Flow, elements.StartEvent):
    """Which start event an instance begins with is decided before it begins, so none of them waits."""

    def _update_hook(self, my_task: Token) -> bool:
        return TaskSpec._update_hook(self, my_task)

    def _run_hook(self, my_task: Token) -> bool:
        definition = self.event_definition
        for one in definition.event_definitions if isinstance(definition, happenings.Several) else [definition]:
            if isinstance(one, happenings.Message):
                one.remember(my_task, my_task.data)
        return True


class CatchEvent(Catching, elements.IntermediateCatchEvent):
    pass


JOB = "job"
"""Where a token keeps what its job is to be done with."""


class ReceiveTask(Catching, elements.ReceiveTask):
    """Waits for a message, or as a service task for the job that another engine does."""

    def _update_hook(self, my_task: Token) -> bool:
        if self.job is not None and JOB not in my_task.internal_data and TaskSpec._update_hook(self, my_task):
            given = mapping.mapped(my_task, self.job["inputs"], my_task.data, {})
            my_task.internal_data = {**my_task.internal_data, JOB: given}
        return super()._update_hook(my_task)

    def catches(self, my_task: Token, event: Any) -> bool:
        """A job is answered by its run alone: a model may throw a message of whatever name."""
        return self.job is None and super().catches(my_task, event)


class _Beside(Catching):
    """Waits beside work that goes on; where it does not interrupt that work it may come any number of times."""

    rank = 0
    momentary = True
    cancel_activity: bool

    def settle(self) -> None:
        """Called once when the specification is loaded."""
        again = not isinstance(self.event_definition, happenings.DateTimer | happenings.DurationTimer)
        self.repeats = again and not self.cancel_activity

    def _update_hook(self, my_task: Token) -> bool:
        if not super()._update_hook(my_task):
            return False
        if not self.repeats:
            return True
        self._come(my_task)
        my_task._set_state(TaskState.WAITING)
        my_task.workflow.top_workflow.event_manager.add_task(my_task)
        return False

    def _come(self, my_task: Token) -> None:
        """One more time: another token goes on from here, and this one waits again."""
        coming = Token(my_task.workflow, self, my_task.parent)
        coming.triggered = True
        coming.data, coming.internal_data = my_task.data, dict(my_task.internal_data)
        coming._set_state(TaskState.READY)
        kept = {key: value for key, value in my_task.internal_data.items() if key == "holds" or key.startswith("timer")}
        my_task.internal_data = kept

    def _on_complete(self, my_task: Token) -> None:
        if my_task.triggered:  # the one that waits beside the work is the one that ends with it
            goes_on = [spec for spec in self.outputs if not isinstance(spec, BoundaryJoin)]
            my_task._sync_children(goes_on, TaskState.FUTURE)
            for child in my_task.children:
                my_task.workflow.top_workflow.guarded_update(child)
            my_task.workflow._task_completed_notify(my_task)
        else:
            super()._on_complete(my_task)

    def _run_hook(self, my_task: Token) -> bool:
        self.gather(my_task)
        my_task.data = my_task.workflow.visible_data(my_task)
        return super()._run_hook(my_task)

    def gather(self, my_task: Token) -> None:
        """Take over what the work beside it has made of the data."""


class BoundaryEvent(_Beside, elements.BoundaryEvent):
    def gather(self, my_task: Token) -> None:
        split = my_task.parent
        for activity in split.children if split is not None else ():
            scope = my_task.workflow.top_workflow.subprocesses.get(activity.id)
            if scope is not None and not scope.completed and activity.task_spec.shares_data:
                my_task.data = merge(my_task.data, scope.live_data())


class Listener(_Beside, elements.BoundaryEvent):
    """Waits in a scope, as long as it runs, for the event that starts an event sub-process."""

    aside = True

    def gather(self, my_task: Token) -> None:
        my_task.data = merge(my_task.data, my_task.workflow.live_data())

    def _run_hook(self, my_task: Token) -> bool:
        super()._run_hook(my_task)
        if self.cancel_activity:
            for other in reversed(list(my_task.workflow.frontier.values())):
                if other is not my_task and other.unfinished():
                    other.cancel()
        return True


class EventGateway(Catching, elements.EventBasedGateway):
    """Waits for the first of several events and lets only the branch of that one go on."""

    chooses = True

    def _run_hook(self, my_task: Token) -> bool:
        found = self.event_definition.seen(my_task)
        for index, payload in found[:1]:
            my_task.data = {**my_task.data, **(payload or {})}
            my_task._sync_children([self.outputs[index]], TaskState.FUTURE)
        my_task.internal_data = {}
        return True


class Throwing(Flow):
    """Throws when it runs; one that undoes what was done waits until that is over."""

    event_definition: Any

    def _run_hook(self, my_task: Token) -> bool | None:
        if isinstance(self.event_definition, happenings.Compensate):
            return True if compensation.is_over(my_task, self.event_definition.name) else None
        self.event_definition.throw(my_task)
        return True

    def _on_complete(self, my_task: Token) -> None:
        if my_task.internal_data.pop("interrupted", False):
            my_task.workflow._task_completed_notify(my_task)  # what it threw ends this path
        else:
            super()._on_complete(my_task)


class ThrowEvent(Throwing, elements.IntermediateThrowEvent):
    pass


class SendTask(Throwing, elements.SendTask):
    pass


class EndEvent(Throwing, elements.EndEvent):
    def _run_hook(self, my_task: Token) -> bool | None:
        if not isinstance(self.event_definition, happenings.Cancel):
            return super()._run_hook(my_task)
        for other in reversed(list(my_task.workflow.frontier.values())):
            if other is not my_task and other.unfinished() and not other.triggered:
                other.cancel()
        if not compensation.is_over(my_task, None):
            return None
        return super()._run_hook(my_task)

    def _on_complete_hook(self, my_task: Token) -> None:
        super(elements.EndEventMixin, self)._on_complete_hook(my_task)
        scope = my_task.workflow
        if isinstance(self.event_definition, happenings.Terminate):
            scope.cancel(success=True)
            scope.completed = False
            scope._mark_complete(my_task)
        elif isinstance(self.event_definition, happenings.Cancel):
            scope.cancel()


class Events(EventManager):
    """Finds who catches an event inside one instance."""

    tasks: dict[Any, Token]

    def raise_event(self, event: Any, source: Token) -> None:
        """Hand an error, escalation or cancellation to the activities around *source*, innermost first.

        Raises:
            CannotGoOn: nothing catches an error. An escalation that nothing catches is no failure.
        """
        taker = self.catch_outside(event, source.workflow)
        if taker is not None:
            if taker.task_spec.cancel_activity:
                source.internal_data = {**source.internal_data, "interrupted": True}
            return
        if isinstance(event.event_definition, happenings.Error):
            code = event.event_definition.code or event.event_definition.name
            raise CannotGoOn("uncaught-error", f"the error {code} is caught by nothing around it")

    def catch_at(self, event: Any, activity: Token) -> Token | None:
        """Let a boundary event of that activity take it."""
        body = activity
        while body.triggered and body.parent is not None:  # a run of a loop: the events hang on its body
            for name in getattr(body.parent.task_spec, "own_names", ()):
                event.payload.pop(name, None)
            body = body.parent
        if body.parent is None or not hasattr(body.parent.task_spec, "event_type"):
            return None
        return self._offer(event, body.parent.children)

    def catch_outside(self, event: Any, scope: Any) -> Token | None:
        """Let a listener of that scope take it, or what is around the scope, innermost first."""
        handler = None
        while True:
            # Failure prevented: an event sub-process that throws on what it has caught would start itself for ever.
            around = [token for token in scope.aside.values() if token.task_spec is not handler]
            taker = self._offer(event, around)
            if taker is None and scope.parent_task_id is not None:
                mapping.cross(scope.host, event.payload)
                taker = self.catch_at(event, scope.host)
            if taker is not None or scope.parent_task_id is None:
                return taker
            handler = scope.host.parent.task_spec if scope.host.task_spec.event_sub else None
            scope = scope.host.workflow

    def _offer(self, event: Any, tokens: Iterable[Token]) -> Token | None:
        """Who of these catches it has it; one for its code goes before one for any."""
        beside = [token for token in tokens if isinstance(token.task_spec, _Beside) and token.id in self.tasks]
        caught = [token for token in beside if token.task_spec.catches(token, event)]
        if not caught:
            return None
        taker = min(caught, key=_catches_any)
        self._take(taker, event)
        return taker

    def catch(self, event: Any, internal: bool = True) -> int:
        """A message or signal: everybody who waits for it takes it. Returns how many."""
        takers = [t for t in self.tasks.values() if t.task_spec.catches(t, event)]
        if internal and (not takers or isinstance(event.event_definition, happenings.Signal)):
            self.workflow.bpmn_events.append(event)
        for token in takers:
            self._take(token, event)
        return len(takers)

    def due_tokens(self) -> list[Token]:
        """Tokens whose time has come, the one due first in front."""
        times = [(due, token.arrival, token) for token in self.tasks.values() for _, due in happenings.due_times(token)]
        due = [item for item in times if item[0] <= self.workflow.now]
        return [token for _, _, token in sorted(due, key=lambda item: item[:2])]

    def _take(self, token: Token, event: Any) -> None:
        token.task_spec.catch(token, event)
        self.workflow.guarded_update(token)


def _catches_any(token: Token) -> bool:
    return getattr(token.task_spec.event_definition, "code", None) is None
