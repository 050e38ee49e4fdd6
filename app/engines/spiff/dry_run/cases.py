"""A model's own test cases: `NAME.test.json` says what is entered, which way is taken and what then holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.core.errors import DamsError, Invalid
from app.engines.spiff import forms, steps
from app.engines.spiff.blueprints import LoadedSpec
from app.engines.spiff.dry_run import moves
from app.engines.spiff.dry_run.report import Move, MoveKind
from app.engines.spiff.limits import bounds
from app.engines.spiff.outcome import OpenTask, Outcome, Waiting
from app.engines.spiff.specs import BundleFile, CompiledModel, load_spec
from app.engines.spiff.values import shown

SUFFIX = ".test.json"
MOST_STEPS = 500


class Step(BaseModel):
    """One move: `do` it at `element`, the id of a task or event; `given` are values, a result, a payload, a code."""

    model_config = ConfigDict(extra="forbid")

    do: MoveKind
    element: str
    given: dict[str, Any] = Field(default_factory=dict)


class Case(BaseModel):
    """Begun with the variables of `start` unless the first step starts it. `path` are the elements that complete, in
    order, all of them or none; `data` are some of the variables at the end.
    """

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200)
    start: dict[str, Any] = Field(default_factory=dict)
    steps: list[Step] = Field(default_factory=list[Step], max_length=MOST_STEPS)
    path: list[str] | None = None
    data: dict[str, Any] = Field(default_factory=dict)
    status: Literal["completed", "running", "failed"] = "completed"


class Cases(BaseModel):
    """A file of test cases."""

    model_config = ConfigDict(extra="forbid")

    process: str = Field(min_length=1, max_length=200)
    cases: list[Case] = Field(min_length=1, max_length=200)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a case went: `said` is why it does not hold, "" where it does; `path` is the way that was taken."""

    process_id: str
    name: str
    said: str
    path: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        return not self.said


def is_cases(name: str) -> bool:
    """Whether a file of this name holds test cases and no process."""
    return name.lower().endswith(SUFFIX)


def read(file: BundleFile) -> Cases:
    """Raises :class:`Invalid`, by the place in the file."""
    try:
        return Cases.model_validate_json(file.content)
    except ValidationError as error:
        faults = {".".join(str(part) for part in one["loc"]) or file.name: one["msg"] for one in error.errors()[:20]}
        raise Invalid(faults) from error


def run(files: Sequence[BundleFile], models: Sequence[CompiledModel], now: datetime) -> list[Verdict]:
    """Play every case of *files* on its process. A file that is wrong, or for another process, does not hold."""
    known = {model.process_id: model for model in models if model.engine == "spiff"}
    verdicts: list[Verdict] = []
    for file in files:
        try:
            read_ = read(file)
        except Invalid as error:
            verdicts.append(Verdict("", file.name, _text(error)))
            continue
        model = known.get(read_.process)
        if model is None:
            verdicts.append(Verdict(read_.process, file.name, f"no process {read_.process} is among the files"))
            continue
        spec = load_spec(model.spec)
        verdicts += [play(model, spec, case, now) for case in read_.cases]
    return verdicts


def play(model: CompiledModel, spec: LoadedSpec, case: Case, now: datetime) -> Verdict:
    """Play one case."""
    missing = [one for one in _named(case) if one not in model.elements]
    if missing:
        said = f"there is no element {', '.join(missing)} in this version"
        return Verdict(model.process_id, case.name, said)
    player = Player(model, spec, now)
    try:
        said = player.play(case)
    except DamsError as error:
        said = f"{player.where}: {_text(error)}"
    return Verdict(model.process_id, case.name, said, tuple(player.path))


class Player:
    """An instance in memory, and the way that it has taken."""

    outcome: Outcome

    def __init__(self, model: CompiledModel, spec: LoadedSpec, now: datetime) -> None:
        self.model, self.spec, self.now = model, spec, now
        self.path: list[str] = []
        self.where = "start"

    def play(self, case: Case) -> str:
        """Make every move; why one cannot be made or what differs at the end, "" where all is as expected."""
        todo = list(case.steps)
        starts = todo and self.model.elements[todo[0].element].type == "startEvent"
        self.begin(case.start, todo.pop(0) if starts else None)
        for step in todo:
            if why := self.take(step):
                return why
        return _differs(case, self.outcome, self.path)

    def begin(self, start: dict[str, Any], first: Step | None = None) -> None:
        """Start it by hand with the variables *start*, or at the start event of the step *first*.

        Raises:
            Invalid: a variable that cannot be kept.
        """
        move = Move(first.do, first.element, first.given) if first else Move("start", "", self._begun(start))
        self.settle(moves.begin(self.spec, move, self.now))

    def take(self, step: Step, further: Mapping[str, Any] | None = None) -> str:
        """Make one move; why it cannot be made here, "" where it was made. *further* is what an effect gave to it.

        Raises:
            Invalid: a value that cannot be kept, or a field that must be mended.
        """
        self.where = step.element
        at = _at(self.outcome, step)
        if at is None:
            return f"{step.do} {step.element} is not possible here: {_open(self.outcome)}"
        self.now = moves.time_of(at, self.now)
        move = Move(step.do, step.element, {**self._entered(at, step.given), **(further or {})})
        after = moves.make(self.spec, self.outcome, move, at, self.now)
        if after is None:
            return f"nothing catches the error at {step.element}"
        self.settle(after)
        return ""

    def _begun(self, given: dict[str, Any]) -> dict[str, Any]:
        form = next((self.model.forms[own] for own, one in self.model.elements.items()
                     if one.type == "startEvent" and own in self.model.forms), None)  # fmt: skip
        return {**given, **forms.submit(form, given, {})} if form else given

    def _entered(self, at: OpenTask | Waiting, given: dict[str, Any]) -> dict[str, Any]:
        form = self.model.forms.get(at.element_id) if isinstance(at, OpenTask) else None
        return dict(forms.submit(form, given, at.values)) if form and isinstance(at, OpenTask) else given

    def settle(self, outcome: Outcome) -> None:
        """Go on from there as far as it goes by itself."""
        self._keep(outcome)
        while outcome.unfinished:
            outcome = steps.proceed(self.spec, outcome.state, bounds=bounds(), now=self.now)
            self._keep(outcome)
        self.outcome = outcome

    def _keep(self, outcome: Outcome) -> None:
        self.path += [
            one.element_id
            for one in outcome.trace
            if one.event == "completed" and one.element_id in self.model.elements
        ]


def _at(outcome: Outcome, step: Step) -> OpenTask | Waiting | None:
    if step.do == "form":
        return next((one for one in outcome.open_tasks if one.element_id == step.element), None)
    kind = "job" if step.do == "error" else step.do
    return next((one for one in outcome.waiting if one.element_id == step.element and one.kind == kind), None)


def _open(outcome: Outcome) -> str:
    found = [f"form {one.element_id}" for one in outcome.open_tasks]
    found += [f"{one.kind} {one.element_id}" for one in outcome.waiting]
    found += [f"{one.element_id} failed: {one.message}" for one in outcome.incidents]
    return ", ".join(found) or f"the instance is {outcome.status}"


def _named(case: Case) -> list[str]:
    return list(dict.fromkeys([*(one.element for one in case.steps), *(case.path or [])]))


def _differs(case: Case, outcome: Outcome, path: list[str]) -> str:
    status = "failed" if outcome.incidents else outcome.status
    if status != case.status:
        return f"it is {status} and not {case.status}: {_open(outcome)}"
    if case.path is not None and path != case.path:
        at = next((n for n, pair in enumerate(zip(path, case.path, strict=False)) if pair[0] != pair[1]),
                  min(len(path), len(case.path)))  # fmt: skip
        took, wanted = [(way[at] if at < len(way) else "nothing") for way in (path, case.path)]
        return f"the way differs at place {at + 1}: {took} and not {wanted}"
    now: dict[str, Any] = shown(outcome.variables)
    wrong = [name for name, value in case.data.items() if now.get(name) != value]
    return "; ".join(f"{name} is {now.get(name)!r} and not {case.data[name]!r}" for name in wrong)


def _text(error: DamsError) -> str:
    if isinstance(error, Invalid):
        return "; ".join(f"{name}: {text}" for name, text in error.errors.items())
    return error.detail
