"""An instance on another version of its process: the same tokens on other elements, or refused with the element."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from lxml import etree  # pyright: ignore[reportAttributeAccessIssue] - untyped

from app.engines.spiff import steps
from app.engines.spiff.blueprints import LoadedSpec
from app.engines.spiff.migration import NotMigrated
from app.engines.spiff.outcome import Outcome
from tests.drawing import definitions, flow, gateway, manual_task, message, script, sequence, timer, user_task
from tests.engines.spiff.conformance import FEATURES, Feature
from tests.engines.spiff.conformance.drawn import MESSAGE, NAMES, associated, compensate, event_sub, undone
from tests.engines.spiff.runs import WIDE, Run, loaded
from tests.engines.spiff.shapes import END, START, around, boundary, many, sub_process, with_loop

RENAMED = ("id", "sourceRef", "targetRef", "attachedToRef", "default", "activityRef")
B = "{http://www.omg.org/spec/BPMN/20100524/MODEL}"
NOT_ELEMENTS = ("process", "definitions", "message", "signal", "error", "escalation", "itemDefinition", "property",
                "dataObject", "dataObjectReference", "dataInput", "dataOutput", "correlationKey", "globalTask",
                "globalUserTask", "globalManualTask", "globalScriptTask", "globalBusinessRuleTask",
                "correlationProperty", "collaboration", "participant", "dataStore", "dataStoreReference")  # fmt: skip


def _element(node: object) -> bool:
    tag = str(getattr(node, "tag", ""))
    name = tag.removeprefix(B)
    return tag.startswith(B) and name not in NOT_ELEMENTS and not name.endswith("EventDefinition")


def renamed(files: tuple[bytes, ...]) -> tuple[list[bytes], dict[str, str]]:
    """The same files with another id for each element, and those ids by the old ones."""
    trees = [etree.fromstring(xml) for xml in files]
    found = [node for tree in trees for node in tree.iter() if _element(node) and node.get("id")]
    ids = {str(node.get("id")): f"other_{node.get('id')}" for node in found}
    for node in (node for tree in trees for node in tree.iter() if str(node.tag).startswith(B)):
        for name in RENAMED:
            if node.get(name) in ids and (name != "id" or _element(node)):
                node.set(name, ids[str(node.get(name))])
        if node.tag in (f"{B}incoming", f"{B}outgoing", f"{B}flowNodeRef") and node.text in ids:
            node.text = ids[node.text]
    return [etree.tostring(tree) for tree in trees], ids


class Wanderer(Run):
    """An instance that goes to a version with other ids after each step, and back."""

    other: LoadedSpec
    ids: Mapping[str, str]

    def _take(self, outcome: Outcome) -> Run:
        back = {new: old for old, new in self.ids.items()}
        there = steps.migrate(self.spec, self.other, outcome.state, self.ids, bounds=self.bounds, now=self.now)
        again = steps.migrate(self.other, self.spec, there.state, back, bounds=self.bounds, now=self.now)
        assert again.trace == []
        for part in ("open_tasks", "incidents", "unfinished", "status", "variables"):
            assert getattr(again, part) == getattr(outcome, part)
        assert sorted(again.waiting, key=str) == sorted(outcome.waiting, key=str)
        return super()._take(replace(outcome, state=again.state))


@pytest.mark.parametrize("feature", FEATURES, ids=lambda one: f"{one.family}: {one.name}")
def test_an_instance_goes_on_where_it_stood(feature: Feature) -> None:
    files, ids = renamed(tuple(feature.files))

    class Own(Wanderer):
        other = loaded(*files)

    Own.ids = ids
    run = Own(loaded(*feature.files), replace(WIDE, steps=1), finishing=True, **feature.given)
    feature.steps(run)
    assert [element for element in run.done() if not element.endswith("_flow")] == feature.done.split()
    assert run.status == feature.status
    assert {name: run.variables.get(name) for name in feature.variables} == feature.variables


def moved(run: Run, new: bytes, mapping: Mapping[str, str] | None = None) -> Run:
    """The same instance, from now on on the version *new*."""
    return run.migrate(loaded(new), mapping or {})


def refused(run: Run, new: bytes, mapping: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    with pytest.raises(NotMigrated) as caught:
        moved(run, new, mapping)
    assert all(one.fix for one in caught.value.obstacles)
    return [(one.element_id, one.message) for one in caught.value.obstacles]


def row(*steps: str) -> bytes:
    """Elements one after the other."""
    return sequence("p", *steps)


def drawn(*elements: str) -> bytes:
    return associated(definitions("p", START, END, *elements, before=NAMES))


def test_what_was_done_stays_done_and_what_comes_next_is_the_new_versions() -> None:
    run = Run(loaded(row(script("a", "x = 1"), user_task("u"), script("b", "y = x"))))
    moved(run, row(user_task("u"), script("b", "y = x + 10"), user_task("v")))
    task = run.outcome.open_tasks[0]
    run.complete("u")
    assert (run.open, run.variables["y"], run.variables["x"]) == (["v"], 11, 1)
    assert task.id not in [one.id for one in run.outcome.open_tasks]


def test_a_task_with_another_id_is_found_by_the_mapping() -> None:
    run = Run(loaded(row(user_task("u"))))
    before = run.outcome.open_tasks[0].id
    assert refused(run, row(user_task("w"))) == [("u", "the new version does not have it")]
    moved(run, row(user_task("w")), {"u": "w"})
    assert [(one.id, one.element_id) for one in run.outcome.open_tasks] == [(before, "w")]
    assert run.complete("w").status == "completed"


def test_a_task_of_another_kind_does_not_take_its_place() -> None:
    run = Run(loaded(row(user_task("u"))))
    assert refused(run, row(manual_task("u"))) == [("u", "it is a userTask, and u is a manualTask")]
    assert refused(run, row(timer("u", "PT1H"))) == [("u", "it is a userTask, and u is a catchEvent")]


def test_each_token_that_would_be_lost_is_named_at_once() -> None:
    fork = [gateway("parallel", "f"), gateway("parallel", "j")]
    ways = [flow("start", "f"), flow("f", "u"), flow("f", "v"), flow("u", "j"), flow("v", "j"), flow("j", "end")]
    run = Run(loaded(drawn(*fork, user_task("u"), user_task("v"), *ways)))
    gone = "the new version does not have it"
    assert refused(run, row(script("s", "x = 1"))) == [("u", gone), ("v", gone)]


def test_a_timer_keeps_the_time_it_was_due() -> None:
    run = Run(loaded(row(timer("t", "PT1H"))))
    due = run.outcome.waiting[0].due_at
    moved(run, row(timer("t", "PT9H")))
    assert run.outcome.waiting[0].due_at == due
    assert run.proceed(due).status == "completed"


def test_an_event_that_waits_for_something_else_is_refused() -> None:
    run = Run(loaded(row(timer("t", "PT1H"))))
    new = drawn(message("t", "m1"), flow("start", "t"), flow("t", "end"))
    message_ = "in the new version it waits for something else or repeats otherwise"
    assert refused(run, new) == [("t", message_)]


def beside(*events: str) -> bytes:
    """A user task with boundary events, each of which leads to a task of its name."""
    ids = [etree.fromstring(f'<x xmlns:bpmn="b" xmlns:xsi="x">{one}</x>')[0].get("id") for one in events]
    after = [part for one in ids for part in (user_task(f"after_{one}"), flow(str(one), f"after_{one}"))]
    ends = [part for one in ids for part in (f'<bpmn:endEvent id="end_{one}" />', flow(f"after_{one}", f"end_{one}"))]
    return drawn(user_task("u"), *events, *after, *ends, flow("start", "u"), flow("u", "end"))


def test_a_boundary_event_that_is_new_begins_to_wait() -> None:
    run = Run(loaded(row(user_task("u"))))
    moved(run, beside(boundary("late", "u", "timeDuration", "PT1H"), boundary("asked", "u", "message", "m1")))
    assert sorted(one.element_id for one in run.outcome.waiting) == ["asked", "late"]
    assert run.deliver("message", "paid").open == ["after_asked"]


def test_a_boundary_event_that_is_gone_waits_no_longer() -> None:
    run = Run(loaded(beside(boundary("late", "u", "timeDuration", "PT1H"), boundary("asked", "u", "message", "m1"))))
    moved(run, beside(boundary("asked", "u", "message", "m1")))
    assert [one.element_id for one in run.outcome.waiting] == ["asked"]
    moved(run, row(user_task("u")))
    assert run.outcome.waiting == []
    assert run.complete("u").status == "completed"


def test_a_boundary_event_that_stays_keeps_its_time_and_one_of_another_kind_begins_anew() -> None:
    run = Run(loaded(beside(boundary("late", "u", "timeDuration", "PT1H"))))
    due = run.outcome.waiting[0].due_at
    moved(run, beside(boundary("late", "u", "timeDuration", "PT9H"), boundary("asked", "u", "message", "m1")))
    assert {one.element_id: one.due_at for one in run.outcome.waiting} == {"late": due, "asked": None}
    moved(run, beside(boundary("late", "u", "message", "m1")))
    assert [(one.kind, one.element_id) for one in run.outcome.waiting] == [("message", "late")]


def test_one_that_did_not_interrupt_and_has_come_does_not_come_again() -> None:
    late = boundary("late", "u", "timeDuration", "PT1H", interrupts=False)
    run = Run(loaded(beside(late)))
    run.proceed(run.outcome.waiting[0].due_at)
    assert run.open == ["after_late", "u"]
    moved(run, beside(late, boundary("asked", "u", "message", "m1")))
    assert [one.element_id for one in run.outcome.waiting] == ["asked"]
    assert run.complete("u").complete("after_late").status == "completed"


def test_an_event_sub_process_that_is_new_begins_to_listen_and_one_that_is_gone_ends() -> None:
    inside = event_sub("h", MESSAGE, script("hs", "seen = True"))
    with_it = drawn(user_task("u"), inside, flow("start", "u"), flow("u", "end"))
    run = Run(loaded(row(user_task("u"))))
    moved(run, with_it)
    assert [one.name for one in run.outcome.waiting] == ["paid"]
    moved(run, row(user_task("u")))
    assert run.outcome.waiting == []
    moved(run, with_it)
    assert run.deliver("message", "paid").status == "completed"
    assert run.variables["seen"] is True


def forked(*branches: str) -> bytes:
    ways = [part for one in branches for part in (user_task(one), flow("f", one), flow(one, "j"))]
    return drawn(gateway("parallel", "f"), gateway("parallel", "j"), flow("start", "f"), *ways, flow("j", "end"))


def test_a_join_that_waits_is_left_no_token_short() -> None:
    run = Run(loaded(forked("u", "v"))).complete("u")
    assert refused(run, forked("u", "v", "w")) == [("j", "it would wait for a flow that no token can take any more")]
    assert refused(run, forked("w", "v")) == [
        ("j", "a token waits at it that came from u, from where no flow leads to it now")
    ]
    joined = "a token waits at it for others, and it joins nothing now"
    assert ("j", joined) in refused(run, forked("v"))
    moved(run, forked("w", "v"), {"u": "w"})
    assert run.complete("v").status == "completed"


def test_a_join_whose_last_empty_flow_is_gone_goes_on() -> None:
    run = Run(loaded(forked("u", "v", "w"))).complete("u").complete("v")
    assert refused(run, forked("u", "v")) == [("w", "the new version does not have it")]
    new = drawn(gateway("parallel", "f"), gateway("parallel", "j"), user_task("u"), user_task("v"), user_task("w"),
                '<bpmn:endEvent id="out" />', flow("start", "f"), flow("f", "u"), flow("f", "v"), flow("f", "w"),
                flow("u", "j"), flow("v", "j"), flow("w", "out"), flow("j", "end"))  # fmt: skip
    moved(run, new).finish()
    assert run.of("j")[-1] == "completed"
    assert run.complete("w").status == "completed"


def test_a_token_inside_a_sub_process_stays_inside_it() -> None:
    sub = sub_process("s", user_task("u"), around("s", "u", "u"))
    run = Run(loaded(drawn(sub, flow("start", "s"), flow("s", "end"))))
    gone = "the new version does not have it"
    assert refused(run, row(user_task("u"))) == [("s", gone)]
    other = sub_process("s", user_task("first"), user_task("u"), around("s", "first", "u"), flow("first", "u"))
    moved(run, drawn(other, user_task("v"), flow("start", "s"), flow("s", "v"), flow("v", "end")))
    assert run.complete("u").open == ["v"]


def test_a_task_that_moved_into_a_sub_process_is_refused() -> None:
    run = Run(loaded(row(user_task("u"))))
    new = drawn(sub_process("s", user_task("u"), around("s", "u", "u")), flow("start", "s"), flow("s", "end"))
    assert refused(run, new) == [("u", "it stands in another scope in the new version")]


def test_what_could_be_undone_must_stay_so() -> None:
    done = [
        script("a", "x = 1"),
        undone("a", script("ua", "x = 0")),
        user_task("u"),
        compensate("intermediateThrowEvent", "e"),
    ]
    ways = [flow("start", "a"), flow("a", "u"), flow("u", "e"), flow("e", "end")]
    run = Run(loaded(drawn(*done, *ways)))
    assert refused(run, row(script("a", "x = 1"), user_task("u"))) == [
        ("a", "what was done there could no longer be undone")
    ]
    assert moved(run, drawn(*done, *ways)).complete("u").variables["x"] == 0


def test_runs_of_a_multi_instance_activity_go_on_with_their_own_data() -> None:
    each = with_loop(user_task("u"), many(sequential=True, collection="items", item="item"))
    run = Run(loaded(row(each)), items=[1, 2, 3]).complete("u")
    moved(run, row(each, script("after", "n = 3")))
    assert run.variables["item"] == 2
    assert run.complete("u").complete("u").status == "completed"
    run = Run(loaded(row(each)), items=[1, 2, 3])
    assert refused(run, row(user_task("u")))[0][0] == "u"


def test_an_incident_goes_along_and_is_retried_on_the_new_version() -> None:
    run = Run(loaded(row(script("s", "x = missing"))))
    assert run.incidents == [("s", "script")] or run.status == "failed"
    moved(run, row(script("s", "x = 5")))
    assert run.status == "failed"
    assert (run.retry().status, run.variables["x"]) == ("completed", 5)
