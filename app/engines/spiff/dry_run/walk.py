"""The search: one way after another is walked, each differing in one choice from one that came somewhere new.

A way is a rule for each element at which something comes from outside: which of its submissions, answers or payloads
it gets, and which event goes first where several may happen. What two ways have in common is walked once.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from itertools import zip_longest
from typing import Any

from app.engines.spiff import starts, steps
from app.engines.spiff.blueprints import LoadedSpec
from app.engines.spiff.dry_run import entries, hints, moves, reasons
from app.engines.spiff.dry_run.hints import Hints
from app.engines.spiff.dry_run.report import DryRun, Failure, Move, is_node
from app.engines.spiff.elements import LOSSES
from app.engines.spiff.limits import bounds
from app.engines.spiff.outcome import OpenTask, Outcome, Waiting
from app.engines.spiff.specs import CompiledModel, load_spec

MOST_STEPS, MOST_MOVES = 4_000, 200
STALE, DEPTH = 500, 3
"""Ways in a row that come nowhere new, after which the search ends, and choices in which such a way may differ."""
ROUNDS = 15
"""After so many visits of one element its next entry is taken: a loop ends, if any entry ends it."""
GUESSES: tuple[Any, ...] = (1, "sample", [1, 2], {"name": "sample"}, True, 0)
"""Given to a name of which the model does not say what it is."""
MOST_STARTS = 60
Rule = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Way:
    """What to choose where something happens (its first choice elsewhere), and what goes before others."""

    rule: Rule = ()
    first: tuple[str, ...] = ()

    @property
    def choices(self) -> int:
        return len(self.rule) + len(self.first)

    def choice(self, key: str) -> int:
        return dict(self.rule).get(key, 0)


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that can happen now, in one of several ways; `key` tells apart what one gateway waits for."""

    key: str
    moves: tuple[Move, ...]
    at: OpenTask | Waiting | None = None


@dataclass
class _Walked:
    """Where a sequence of moves leads. `happenings` is what may happen next, `choices` what was chosen here before."""

    outcome: Outcome
    now: datetime
    happenings: list[Happening]
    after: dict[tuple[str, int], _Walked | None] = field(default_factory=dict[tuple[str, int], "_Walked | None"])


def walk(model: CompiledModel, now: datetime, *, seconds: float = 5.0, most_steps: int = MOST_STEPS) -> DryRun:
    """Walk *model* as if it began at *now*. Nothing is stored and nothing outside is reached.

    Steps of DAMS itself, such as a booking, and jobs of other engines are taken as done.
    """
    return _Search(model, now, seconds, most_steps).run()


class _Search:
    def __init__(self, model: CompiledModel, now: datetime, seconds: float, most_steps: int) -> None:
        self.model, self.now = model, now
        self.spec: LoadedSpec = load_spec(model.spec)
        self.hints: Hints = hints.of(model.spec)
        silent = reasons.silent(model)
        self.nodes = [one for one in model.elements.values() if is_node(one) and one.id not in silent]
        self.wanted = {one.id for one in self.nodes}
        self.reached: dict[str, None] = {}
        self.needs: dict[str, list[Any]] = {}
        self.passed: set[str] = set()
        self.unfilled: dict[str, None] = {}
        self.failures: dict[tuple[str, str], Failure] = {}
        self.steps, self.ways, self.ended, self.most_steps = 0, 0, 0, most_steps
        self.began = time.monotonic()
        self.deadline = self.began + seconds
        self.losses = [LOSSES[one.effect] for one in model.elements.values() if one.effect in LOSSES]
        self.roots: dict[tuple[str, int], _Walked | None] = {}
        self.by_forms = {one.id.partition(".")[0] for form in model.forms.values() for one in form.fields}
        self.starts, self.grown = self._starts(), False

    def run(self) -> DryRun:
        todo, known, stale = deque([Way()]), {Way()}, 0
        while todo and stale < STALE and not self._spent():
            way = todo.popleft()
            if self._through() and way.choices > 1:
                continue  # everything was reached: each single entry is still tried for what fails
            before = len(self.reached)
            fresh = [one for one in self._walk(way) if one not in known]
            known.update(fresh)
            stale += 1
            if self.grown:
                fresh += [one for one in _others(Way(), self.starts[0], self.starts) if one not in known]
                known.update(fresh)
                self.grown = False
                todo.extendleft(reversed(fresh))
            elif len(self.reached) > before:
                todo.extendleft(reversed(fresh))
                stale = 0
            elif way.choices < DEPTH:
                todo.extend(fresh)
        missed = [one for one in self.nodes if one.id not in self.reached]
        return DryRun(
            self.model.process_id,
            tuple(self.reached),
            tuple(self.unfilled),
            tuple(self.needs),
            tuple(reasons.of(self.model, missed, set(self.reached), {one for one, _ in self.failures})),
            tuple(sorted(self._faults(), key=lambda one: (len(one.moves), one.element_id))),
            self.ways,
            self.ended,
            self.steps,
            time.monotonic() - self.began,
            self._spent() and not self._through(),
        )

    def _through(self) -> bool:
        return self.wanted <= self.reached.keys()

    def _spent(self) -> bool:
        return self.steps >= self.most_steps or time.monotonic() >= self.deadline

    def _walk(self, way: Way) -> list[Way]:
        """Walk one way to its end; the ways that differ from it in one choice."""
        self.ways += 1
        others: list[list[Way]] = []
        visits: dict[str, int] = {}
        made: list[Move] = []
        at: _Walked | None = None
        possible = self.starts
        for _ in range(MOST_MOVES):
            if not possible or self._spent():
                break
            chosen = self._chosen(way, possible, visits)
            visits[chosen.key] = visits.get(chosen.key, 0) + 1
            if visits[chosen.key] == 1:
                others.append(_others(way, chosen, possible))
            number = (way.choice(chosen.key) + (visits[chosen.key] - 1) // ROUNDS) % len(chosen.moves)
            made.append(chosen.moves[number])
            at = self._moved(at, chosen, number, made)
            if at is None:
                break
            if at.outcome.status != "running" and not at.outcome.incidents:
                self.ended += 1
                break
            possible = [] if at.outcome.incidents else at.happenings
        return [one for turn in zip_longest(*others) for one in turn if one is not None]

    def _chosen(self, way: Way, possible: list[Happening], visits: dict[str, int]) -> Happening:
        """What goes first by the rule of this way, but not for ever; else what has happened least often."""
        for key in way.first:
            for one in possible:
                if one.key == key and visits.get(key, 0) < 2:
                    return one
        return min(possible, key=lambda one: visits.get(one.key, 0) // ROUNDS)

    def _moved(self, at: _Walked | None, chosen: Happening, number: int, made: list[Move]) -> _Walked | None:
        """Where a move leads, from memory where it was made before; None where it cannot be made."""
        after = self.roots if at is None else at.after
        key = (chosen.key, number)
        if key not in after:
            after[key] = self._made(at, chosen, chosen.moves[number], made)
        return after[key]

    def _made(self, at: _Walked | None, chosen: Happening, move: Move, made: list[Move]) -> _Walked | None:
        self.steps += 1
        now = moves.time_of(chosen.at, self.now if at is None else at.now)
        if at is None or chosen.at is None:
            outcome: Outcome | None = moves.begin(self.spec, move, now)
        else:
            outcome = moves.make(self.spec, at.outcome, move, chosen.at, now)
        while outcome is not None and outcome.unfinished and not self._spent():
            self._note(outcome, made)
            outcome = steps.proceed(self.spec, outcome.state, bounds=bounds(), now=now)
        if outcome is None:
            return None
        self._note(outcome, made)
        return _Walked(outcome, now, self._happenings(outcome))

    def _note(self, outcome: Outcome, made: list[Move]) -> None:
        for entry in outcome.trace:
            if entry.element_id in self.wanted and entry.event != "cancelled":
                self.reached.setdefault(entry.element_id)
            if entry.event == "completed":
                self.passed.add(entry.element_id)
        for one in outcome.incidents:
            if one.code == "name-not-set" and self._needs(one.message.partition(" ")[0], made[0]):
                continue
            key = (one.element_id, one.message)
            if key not in self.failures or len(made) < len(self.failures[key].moves):
                self.failures[key] = Failure(one.element_id, one.code, one.message, one.line, tuple(made))

    def _faults(self) -> Iterator[Failure]:
        """What failed, but for what only a guessed value did where another one went through."""
        guessed = {name for name in self.needs if not self.hints.values.get(name)}
        for one in self.failures.values():
            if not (guessed & set(one.moves[0].given) and one.element_id in self.passed):
                yield one

    def _needs(self, name: str, began: Move) -> bool:
        """Whether a name that is not set has to be brought by whoever starts: nothing in the model sets it.

        From now on ways begin with it, once with each value that is compared with it, or that a model may mean.
        """
        if began.kind in ("timer", "form") or name in self.by_forms or name in began.given:
            return False
        if name not in self.needs:
            self.needs[name] = list(self.hints.values.get(name) or GUESSES)
            self.starts = [self._with(name, one) for one in self.starts]
            self.grown = True
        return True

    def _with(self, name: str, one: Happening) -> Happening:
        if one.moves[0].kind == "timer":
            return one
        more = [replace(move, given={**move.given, name: value}) for move in one.moves for value in self.needs[name]]
        return replace(one, moves=(*one.moves, *more[:MOST_STARTS]))

    def _starts(self) -> list[Happening]:
        """A start by hand, with the start form or with the variables that nothing in the model sets; then the rest."""
        events = starts.of(self.spec)
        by_itself = {event.element_id for event in events}
        plain = next(
            (one for one in self.model.elements.values()
             if one.type == "startEvent" and not one.parent and one.id not in by_itself),
            None,
        )  # fmt: skip
        found: list[Happening] = []
        if plain is not None:
            form = self.model.forms.get(plain.id)
            given = entries.of(form, self.hints, {}) if form else [{}, *self._unset]
            found.append(Happening(f"start {plain.id}", tuple(Move("start", plain.id, one) for one in given)))
        for event in events:
            payloads = [{}, *self._unset] if event.kind != "timer" else [{}]
            kind = "timer" if event.kind == "timer" else "signal" if event.kind == "signal" else "message"
            begun = tuple(Move(kind, event.element_id, one) for one in payloads)
            found.append(Happening(f"start {event.element_id} {event.name}", begun))
        return found

    @cached_property
    def _unset(self) -> list[dict[str, Any]]:
        """Values for compared names that no form and no script sets: whoever starts or answers may bring them."""
        free = {
            name: values
            for name, values in self.hints.values.items()
            if values and name not in self.by_forms and name not in self.hints.written
        }
        if not free:
            return []
        all_first = {name: values[0] for name, values in free.items()}
        return [all_first] + [{**all_first, name: value} for name, values in free.items() for value in values[1:]]

    def _happenings(self, outcome: Outcome) -> list[Happening]:
        found = [self._task(task) for task in outcome.open_tasks]
        found += [one for waiting in sorted(outcome.waiting, key=_turn) if (one := self._event(waiting))]
        self.unfilled.update(dict.fromkeys(one.at.element_id for one in found if one.at and not one.moves))
        return [one for one in found if one.moves]

    def _task(self, task: OpenTask) -> Happening:
        form = self.model.forms.get(task.element_id)
        given = entries.of(form, self.hints, task.values) if form and form.fields else [{}]
        given += [{**given[0], **lost} for lost in self.losses[: len(given)]]
        entered = tuple(Move("form", task.element_id, one) for one in given)
        return Happening(f"form {task.element_id}", entered, task)

    def _event(self, waiting: Waiting) -> Happening | None:
        own = waiting.element_id
        match waiting.kind:
            case "timer":
                ways: Iterator[Move] = iter([Move("timer", own, {})])
            case "job":
                answers = [Move("job", own, one) for one in [{}, *self._unset]]
                errors = [Move("error", own, {"code": code}) for code in self._codes]
                ways = iter([*answers, *errors])
            case "message" | "signal":
                kind = waiting.kind
                ways = (Move(kind, own, one) for one in [{}, *self._unset])
            case "conditional":
                return None  # it happens by itself as soon as the data are so
        return Happening(f"{waiting.kind} {own} {waiting.name}", tuple(ways), waiting)

    @cached_property
    def _codes(self) -> list[str]:
        return reasons.error_codes(self.model)


def _turn(waiting: Waiting) -> tuple[int, float]:
    """Jobs are answered and messages come before time has passed."""
    return (waiting.kind == "timer", waiting.due_at.timestamp() if waiting.due_at else 0.0)


def _others(way: Way, chosen: Happening, possible: list[Happening]) -> list[Way]:
    """The ways that differ in one choice from *way* here: other events and errors before other entries."""
    own, taken = chosen.key, way.choice(chosen.key)
    rule = dict(way.rule)
    events = [
        replace(way, first=(one.key, *way.first)) for one in possible if one is not chosen and one.key not in way.first
    ]
    numbers = sorted(range(len(chosen.moves)), key=lambda number: chosen.moves[number].kind != "error")
    return events + [
        replace(way, rule=tuple(sorted({**rule, own: number}.items()))) for number in numbers if number != taken
    ]
