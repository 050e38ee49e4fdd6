"""Random models for comparing our engine with SpiffWorkflow as it comes.

Left out is what the two decide differently on purpose, each with a test of its own elsewhere: forks inside loops
(stock counts arrivals of an earlier turn), branches of an inclusive gateway with gateways inside (stock's join looks
back along one path only and goes on too early), variables set by two branches, plain tasks (stock makes them manual),
item variables without an output (stock leaks them or breaks), errors past the nearest activity, two timers of one
activity that are due at once (stock lets both interrupt), events that do not interrupt (stock hears only the first).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

from tests.drawing import definitions, flow, gateway, script, user_task
from tests.engines.spiff.shapes import (
    END,
    START,
    boundary,
    call,
    catch,
    event,
    many,
    standard_loop,
    sub_process,
    with_loop,
)


@dataclass
class Sketch:
    """A model being drawn. ``variables`` are given at the start, ``files`` are the processes it calls."""

    draw: st.DrawFn
    count: int = 0
    variables: dict[str, object] = field(default_factory=dict)
    beside: list[str] = field(default_factory=list)
    files: list[bytes] = field(default_factory=list)

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}"

    def variable(self, value: object) -> str:
        name = self.name("v")
        self.variables[name] = value
        return name

    def message(self) -> str:
        name = self.name("m")
        self.beside.append(f'<bpmn:message id="{name}" name="{name}" />')
        return name


@dataclass(frozen=True)
class Part:
    """Elements with their flows, entered at ``first`` and left at ``last``."""

    first: str
    last: str
    xml: str

    def then(self, other: Part) -> Part:
        return Part(self.first, other.last, self.xml + other.xml + flow(self.last, other.first))


def _user(sketch: Sketch) -> Part:
    name = sketch.name("user")
    return Part(name, name, user_task(name))


def _script(sketch: Sketch) -> Part:
    name = sketch.name("script")
    return Part(name, name, script(name, f"{name}_n = {sketch.draw(st.integers(0, 3))}"))


def _sequence(sketch: Sketch, depth: int, *, forks: bool = True) -> Part:
    parts = [_block(sketch, depth, forks=forks) for _ in range(sketch.draw(st.integers(1, 3)))]
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.then(part)
    return whole


def _choice(sketch: Sketch, depth: int, *, forks: bool) -> Part:
    split, join, default = sketch.name("xor"), sketch.name("merge"), sketch.name("flow")
    variable = sketch.variable(sketch.draw(st.integers(0, 2)))
    branches = [_sequence(sketch, depth - 1, forks=forks) for _ in range(2)]
    xml = gateway("exclusive", split, default=default) + gateway("exclusive", join)
    xml += "".join(branch.xml + flow(branch.last, join) for branch in branches)
    xml += flow(split, branches[0].first, f"{variable} == 1") + flow(split, branches[1].first, flow_id=default)
    return Part(split, join, xml)


def _fork(sketch: Sketch, depth: int, *, forks: bool) -> Part:
    assert forks
    kind = sketch.draw(st.sampled_from(["parallel", "inclusive"]))
    split, join, default = sketch.name("fork"), sketch.name("join"), sketch.name("flow")
    inner = depth - 1 if kind == "parallel" else 0
    branches = [_sequence(sketch, inner) for _ in range(sketch.draw(st.integers(2, 3)))]
    xml = gateway(kind, split, default=default if kind == "inclusive" else "") + gateway(kind, join)
    for number, branch in enumerate(branches):
        condition, own = "", ""
        if kind == "inclusive" and number == 0:
            own = default
        elif kind == "inclusive":
            condition = f"{sketch.variable(sketch.draw(st.booleans()))}"
        xml += branch.xml + flow(branch.last, join) + flow(split, branch.first, condition, own)
    return Part(split, join, xml)


def _loop(sketch: Sketch, depth: int, *, forks: bool) -> Part:
    assert forks in (True, False)
    begin, merge, add, again, back = (sketch.name(kind) for kind in ("begin", "merge", "add", "again", "flow"))
    counter, turns = f"{begin}_n", sketch.draw(st.integers(1, 4))
    inner = _sequence(sketch, depth - 1, forks=False)
    leave = sketch.name("leave")
    xml = script(begin, f"{counter} = 0") + gateway("exclusive", merge) + script(add, f"{counter} = {counter} + 1")
    xml += gateway("exclusive", again, default=back) + script(leave, f"{leave}_n = 1") + inner.xml
    xml += flow(begin, merge) + flow(merge, inner.first) + flow(inner.last, add) + flow(add, again)
    xml += flow(again, merge, f"{counter} < {turns}") + flow(again, leave, flow_id=back)
    return Part(begin, leave, xml)


def _watched(sketch: Sketch, depth: int, *, forks: bool) -> Part:
    """An activity with boundary events; a handler of an interrupting one joins the flow again."""
    join = sketch.name("merge")
    host = _user(sketch) if sketch.draw(st.booleans()) else _sub(sketch, depth, forks=forks, failing=True)
    xml = host.xml + gateway("exclusive", join) + flow(host.last, join)
    for kind in sketch.draw(st.lists(st.sampled_from(["timer", "message"]), min_size=1, max_size=2, unique=True)):
        alarm, handler = sketch.name("alarm"), _sequence(sketch, 0, forks=False)
        if kind == "timer":
            xml += boundary(alarm, host.first, "timeDuration", f"'PT{sketch.draw(st.integers(1, 3))}H'")
        else:
            xml += boundary(alarm, host.first, "message", sketch.message())
        xml += handler.xml + flow(alarm, handler.first) + flow(handler.last, join)
    if not host.first.startswith("user"):
        alarm = sketch.name("alarm")
        xml += boundary(alarm, host.first, "error", f"{host.first}_e") + flow(alarm, join)
    return Part(host.first, join, xml)


def _sub(sketch: Sketch, depth: int, *, forks: bool, failing: bool = False) -> Part:
    name = sketch.name("sub")
    inner = _sequence(sketch, depth - 1, forks=forks)
    last = inner.last
    extra = ""
    if failing:  # the sub-process may end with its error
        error, which, fail, go_on = f"{name}_e", sketch.name("xor"), sketch.name("fail"), sketch.name("flow")
        sketch.beside.append(f'<bpmn:error id="{error}" name="{error}" errorCode="{error}" />')
        wanted = sketch.variable(sketch.draw(st.booleans()))
        extra = gateway("exclusive", which, default=go_on) + event("endEvent", fail, "error", error)
        extra += flow(last, which) + flow(which, fail, wanted) + flow(which, f"{name}.end", flow_id=go_on)
    else:
        extra = flow(last, f"{name}.end")
    return Part(name, name, sub_process(name, inner.xml, flow(f"{name}.start", inner.first), extra))


def _call(sketch: Sketch, depth: int, *, forks: bool) -> Part:
    name, called = sketch.name("call"), sketch.name("process")
    inner = _sequence(sketch, depth - 1, forks=forks)
    file = definitions(called, START, inner.xml, END, flow("start", inner.first), flow(inner.last, "end"))
    sketch.files.append(file)
    return Part(name, name, call(name, called))


def _several(sketch: Sketch, depth: int, *, forks: bool) -> Part:
    assert depth >= 0
    name = sketch.name("many")
    if not forks or sketch.draw(st.booleans()):
        turns = sketch.draw(st.integers(1, 3))
        return Part(name, name, with_loop(user_task(name), standard_loop(maximum=turns)))
    items = sketch.variable(sketch.draw(st.lists(st.integers(0, 9), max_size=3)))
    item, output, result = sketch.name("item"), sketch.name("output"), sketch.name("result")
    loop = many(sequential=sketch.draw(st.booleans()), collection=items, item=item, output=output, output_item=result)
    return Part(name, name, with_loop(script(name, f"{result} = {item} * 2"), loop))


def _race(sketch: Sketch, depth: int, *, forks: bool) -> Part:
    split, join = sketch.name("race"), sketch.name("merge")
    xml = gateway("eventBased", split) + gateway("exclusive", join)
    for _ in range(2):
        name, inner = sketch.name("catch"), _sequence(sketch, min(depth - 1, 0), forks=forks)
        xml += catch(name, "message", sketch.message()) + inner.xml
        xml += flow(split, name) + flow(name, inner.first) + flow(inner.last, join)
    return Part(split, join, xml)


def _block(sketch: Sketch, depth: int, *, forks: bool) -> Part:
    if depth <= 0:
        return sketch.draw(st.sampled_from([_user, _script]))(sketch)
    kinds = [_choice, _loop, _watched, _sub, _call, _several, _race, *([_fork] * 3 if forks else [])]
    kind = sketch.draw(st.sampled_from([None, *kinds]))
    return _user(sketch) if kind is None else kind(sketch, depth, forks=forks)


@st.composite
def models(draw: st.DrawFn) -> tuple[list[bytes], dict[str, object]]:
    """Files of a model, the one to start first, and the variables to start it with."""
    sketch = Sketch(draw)
    body = _sequence(sketch, draw(st.integers(1, 3)))
    main = definitions(
        "main", START, body.xml, END, flow("start", body.first), flow(body.last, "end"),
        before="".join(sketch.beside),
    )  # fmt: skip
    # Messages and errors are looked up over the whole bundle, so they may all stand in the first file.
    return [main, *sketch.files], sketch.variables
