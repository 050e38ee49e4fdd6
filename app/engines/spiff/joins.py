"""Joins that look at tokens, not at history, so that finished tokens can be forgotten.

SpiffWorkflow lets the last token wait and finds out from the finished tasks who else has arrived; in a loop it takes
arrivals of an earlier turn for new ones. Here every token that arrives waits, with its data, until it is consumed.
The rules are those of the standard (BPMN 2.0.2, table 13.1 and 13.3).
"""
# SpiffWorkflow's extension points begin with an underscore.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, cast

from app.engines.spiff.library import TaskSpec, TaskState, control, elements
from app.engines.spiff.nodes import CannotGoOn, Flow
from app.engines.spiff.tokens import Token
from app.engines.spiff.values import merge

_FIRED = TaskState.READY | TaskState.COMPLETED


class _Join(Flow):
    """Consumes one token per incoming flow. Data of later arrivals counts where two branches set one name."""

    quiet = True
    _inputs: list[str]

    def _arrive(self, token: Token) -> None:
        if token._state != TaskState.WAITING:
            token._inherit_data()
            TaskSpec._update_hook(self, token)
            token._set_state(TaskState.WAITING)

    def _arrived(self, token: Token) -> list[Token]:
        """Tokens waiting at this join, oldest first."""
        found = [t for t in token.workflow.frontier.values() if t.task_spec is self and t._state == TaskState.WAITING]
        return sorted(found, key=_arrival)

    def _consume(self, token: Token, tokens: Iterable[Token]) -> None:
        """*token* goes on with the data of all; the others end here."""
        data: dict[str, Any] = {}
        for other in tokens:
            data = merge(data, other.data)
            if other is not token:
                other._set_state(TaskState.CANCELLED)
        token.data = data

    def _update_hook(self, my_task: Token) -> bool:
        if len(self._inputs) < 2:
            my_task._inherit_data()
            return True
        self._arrive(my_task)
        arrived = self._arrived(my_task)
        chosen = self._choose(my_task, arrived)
        if chosen and my_task not in chosen:  # an older token takes its place: let it go on instead
            self._consume(chosen[-1], chosen)
            chosen[-1]._ready()
            return False
        if chosen:
            self._consume(my_task, chosen)
        return bool(chosen)

    def _choose(self, token: Token, arrived: list[Token]) -> list[Token]:
        """The tokens to consume, oldest first; none while the join must wait."""
        raise NotImplementedError

    def _run_hook(self, my_task: Token) -> bool:  # noqa: ARG002 - data was merged when the tokens were consumed
        return True


class ParallelGateway(_Join, elements.ParallelGateway):
    """Waits for a token on every incoming flow; excess tokens stay for the next time."""

    def _choose(self, token: Token, arrived: list[Token]) -> list[Token]:  # noqa: ARG002 - the base's signature
        wanted = Counter(self._inputs)
        chosen: list[Token] = []
        for one in arrived:
            origin = came_from(one)
            if wanted[origin] > 0:
                wanted[origin] -= 1
                chosen.append(one)
        return chosen if not any(wanted.values()) else []


class InclusiveGateway(_Join, elements.InclusiveGateway):
    """Waits while a token elsewhere could still reach an empty incoming flow, and only an empty one."""

    looks_around = True
    chooses = True
    reach: dict[str, frozenset[str]]
    """By name of a task spec: which inputs of this join a token there can reach without passing the join."""
    needed: int | None = None
    """Of a complex gateway: how many tokens let it go on. What comes later is taken and leads nowhere."""

    def _choose(self, token: Token, arrived: list[Token]) -> list[Token]:
        chosen: dict[str, Token] = {}
        for one in arrived:
            chosen.setdefault(came_from(one), one)
        if self.needed is not None:
            return self._choose_some(token, chosen)
        full = frozenset(chosen)
        here = {one.id for one in arrived}
        for other in token.workflow.frontier.values():
            reached = self.reach.get(other.task_spec.name, frozenset())
            if other.id not in here and reached - full and not reached & full:
                return []
        return sorted(chosen.values(), key=_arrival)

    def _choose_some(self, token: Token, chosen: dict[str, Token]) -> list[Token]:
        """A complex gateway counts anew once a token of each flow has come (BPMN 2.0.2, table 13.5)."""
        first = token.workflow.task_tree
        done: dict[str, list[str]] = first.internal_data.get("gone_on", {})
        came = set(done.get(self.name, ()))
        late = [one for source, one in chosen.items() if source not in came] if came else []
        for one in late:
            one._set_state(TaskState.CANCELLED)
        goes_on = not came and len(chosen) >= (self.needed or 1)
        came |= {came_from(one) for one in late} | (set(chosen) if goes_on else set())
        left = {name: sources for name, sources in done.items() if name != self.name}
        if came and came != set(self._inputs):
            left[self.name] = sorted(came)
        first.internal_data = {**first.internal_data, "gone_on": left}
        return sorted(chosen.values(), key=_arrival) if goes_on else []

    def _run_hook(self, my_task: Token) -> bool:
        matches, default = self._get_matching_outputs(my_task)
        if not matches and not default:
            raise CannotGoOn("no-flow-matches", "no condition of the gateway holds and it has no default flow")
        my_task._sync_children(matches or default, TaskState.FUTURE)
        return True


class EndJoin(_Join, control._EndJoin):
    """The end of a scope: goes on when no other token is left in it."""

    looks_around = True

    def _update_hook(self, my_task: Token) -> bool:
        self._arrive(my_task)
        # Tokens that have ended are gathered in one, or a timer that fires for ever would leave one each time.
        self._consume(my_task, self._arrived(my_task))
        if len(my_task.workflow.frontier) > 1 + len(my_task.workflow.aside):
            return False
        if my_task.workflow.spec.enough is not None and not my_task.workflow.has_enough(my_task):
            raise CannotGoOn("ad-hoc", "everything in it is done and its completion condition does not hold")
        return True

    def _choose(self, token: Token, arrived: list[Token]) -> list[Token]:  # noqa: ARG002 - the base's signature
        return arrived

    def _run_hook(self, my_task: Token) -> bool:
        for listener in list(my_task.workflow.aside.values()):
            listener.cancel()
        my_task.workflow.data.update(my_task.data)
        return True


class _EventJoin(Flow):
    """Ends what waits beside an activity (or start event) once it is finished or interrupted. Leads nowhere."""

    looks_around = True
    rank = 1

    def _do_join(self, my_task: Token) -> None:
        split = cast("Token", my_task.find_ancestor(self.split_task))
        for branch in split.children:
            for token in branch.children:
                if token.task_spec is self and token is not my_task and token.unfinished():
                    token._set_state(TaskState.CANCELLED)


class BoundaryJoin(_EventJoin, control.BoundaryEventJoin):
    def _check_threshold_structured(self, my_task: Token) -> tuple[bool, list[Token]]:
        """Whether the activity is over, and what ends with it. Of two events that interrupt it only the first runs."""
        split, own = cast("Token", my_task.find_ancestor(self.split_task)), my_task.parent
        events = [token for token in split.children if hasattr(token.task_spec, "cancel_activity")]
        activity = [token for token in split.children if token not in events]
        if any(token.task_spec.cancel_activity and token._state & _FIRED for token in events):
            return True, [token for token in events + activity if token is not own and token.unfinished()]
        if all(token._state & TaskState.FINISHED_MASK for token in activity):
            return True, [token for token in events if token._state == TaskState.WAITING]
        return False, []


class StartJoin(_EventJoin, control.StartEventJoin):
    pass


def reachable(join: Any, specs: dict[str, Any]) -> dict[str, frozenset[str]]:
    """For every task spec the inputs of *join* it can reach without passing the join; once per loaded process."""
    found: dict[str, set[str]] = {}
    for name in set(join._inputs):
        seen, todo = {name}, [name]
        while todo:
            current = todo.pop()
            found.setdefault(current, set()).add(name)
            for source in specs[current]._inputs:
                if source not in seen and source != join.name and source in specs:
                    seen.add(source)
                    todo.append(source)
    return {name: frozenset(inputs) for name, inputs in found.items()}


def came_from(token: Token) -> str:
    """The name of the element the token came from; its parent is kept as long as it waits."""
    parent = token.parent
    return parent.task_spec.name if parent is not None else ""


def _arrival(token: Token) -> int:
    return token.arrival
