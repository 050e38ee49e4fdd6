"""The dry run: every element is reached with generated entries, or it is said why not; what fails shows its way."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.root import ROOT
from app.engines.spiff import dry_run
from app.engines.spiff.dry_run import DryRun
from app.engines.spiff.specs import BundleFile, check_bundle
from tests.drawing import (
    begun,
    definitions,
    field,
    flow,
    gateway,
    message,
    script,
    sequence,
    start_form,
    timer,
    user_task,
)
from tests.engines.spiff.conformance import FEATURES
from tests.engines.spiff.conformance.drawn import beside
from tests.engines.spiff.runs import NOW, compiled
from tests.engines.spiff.shapes import boundary

SHIPPED = sorted((ROOT / "bpmn/spiff").iterdir())


def walked(*files: bytes) -> DryRun:
    return dry_run.walk(compiled(*files)[0], NOW)


def forked(condition: str, *fields: str) -> bytes:
    """A form, then `yes` where the condition holds and `no` otherwise."""
    return definitions(
        "Forked",
        '<bpmn:startEvent id="start" />',
        user_task("Ask", *fields),
        gateway("exclusive", "g", "g_no"),
        *(script(name, "done = True") for name in ("yes", "no")),
        *(f'<bpmn:endEvent id="{name}_end" />' for name in ("yes", "no")),
        flow("start", "Ask"),
        flow("Ask", "g"),
        flow("g", "yes", condition),
        flow("g", "no"),
        flow("yes", "yes_end"),
        flow("no", "no_end"),
    )


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_element_of_a_shipped_process_is_reached_and_nothing_fails(path: Path) -> None:
    report = check_bundle([BundleFile(path.name, path.read_bytes())])
    for model in report.models:
        run = dry_run.walk(model, NOW, seconds=60)
        assert (run.missed, run.failures, run.unfilled) == ((), (), ())
        assert run.coverage == 100


@pytest.mark.parametrize(
    ("condition", "fields"),
    [
        ('kind == "acute"', [field("kind")]),
        ("amount > 250", [field("amount", "long", required=True)]),
        ("amount > 99.5", [field("amount", "double", required=True)]),
        ('kind == "acute" and ward == "B2"', [field("kind"), field("ward")]),
        ('kind in ["acute", "chronic"]', [field("kind", required=True)]),
        ("urgent", [field("urgent", "boolean", required=True)]),
        ("not kind", [field("kind")]),
        ("len(kind) > 100", [field("kind")]),
    ],
)
def test_what_a_condition_compares_with_is_tried(condition: str, fields: list[str]) -> None:
    run = walked(forked(condition, *fields))
    assert {"yes", "no"} <= set(run.reached)
    assert run.missed == ()


def test_a_script_that_fails_on_an_empty_field_is_shown_with_the_entries_that_lead_there() -> None:
    run = walked(sequence("Halves", user_task("Ask", field("amount", "long")), script("Halve", "half = amount / 2")))
    (failure,) = run.failures
    assert (failure.element_id, failure.line) == ("Halve", 1)
    start, form = failure.moves
    assert (start.kind, form.kind, form.element_id, dict(form.given)) == ("start", "form", "Ask", {"amount": None})
    assert "end" in run.reached  # with a number


def test_a_condition_that_never_holds_is_named_with_its_flow() -> None:
    run = walked(forked("amount > 250", field("amount", "long", required=True).replace(
        '<camunda:constraint name="required" />',
        '<camunda:constraint name="required" /><camunda:constraint name="max" config="100" />')))  # fmt: skip
    reasons = {one.element_id: one.reason for one in run.missed}
    assert reasons["yes"] == "no entry that was tried makes amount > 250 true on the flow g_yes"
    assert reasons["yes_end"] == "yes before it was not reached, or never left"
    assert not any(one.proved for one in run.missed)
    assert run.coverage < 100


def test_an_element_that_no_flow_leads_to_is_proved_unreachable_and_does_not_count() -> None:
    (feature,) = [one for one in FEATURES if one.name == "error end event in a sub-process"]
    run = walked(*feature.files)
    assert {one.element_id: one.proved for one in run.missed} == {"s.end": True, "end": False}
    assert run.coverage == 100 * len(run.reached) / (len(run.reached) + 1)


@pytest.mark.parametrize("kind", ["message", "signal", "timeDuration"])
def test_what_may_happen_beside_a_task_happens(kind: str) -> None:
    what = {"message": "m1", "signal": "s1", "timeDuration": "PT1H"}[kind]
    run = walked(beside(user_task("a"), boundary("b", "a", kind, what)))
    assert {"b", "react", "e2", "a", "end"} <= set(run.reached)


def test_work_of_other_engines_is_answered_and_refused() -> None:
    work = '<bpmn:serviceTask id="Pay" name="Pay" camunda:type="external" camunda:topic="pipeline:report" />'
    declared = '<bpmn:error id="e1" name="refused" errorCode="REFUSED" />'
    model = beside(work, boundary("b", "Pay", "error", "e1"), "Pay").replace(
        b"<bpmn:process", declared.encode() + b"<bpmn:process"
    )
    assert {"Pay", "end", "b", "react"} <= set(walked(model).reached)


def test_time_passes_and_messages_come() -> None:
    run = walked(sequence("Waits", timer("Later", "P30D"), message("Paid", "m1"),
                          before='<bpmn:message id="m1" name="paid" />'))  # fmt: skip
    assert run.coverage == 100


def test_names_that_nothing_in_the_model_sets_are_what_whoever_starts_it_brings() -> None:
    run = walked(sequence("Sums", script("Sum", "total = sum(amounts)")))
    assert run.needs == ("amounts",)
    assert run.failures == ()
    assert run.coverage == 100


def test_a_start_form_is_filled_in() -> None:
    run = walked(begun(start_form(field("kind", required=True)), script("s", "x = kind.upper()")))
    assert run.coverage == 100


def test_a_loop_over_forms_that_ends_after_ten_turns_is_walked_to_its_end() -> None:
    model = definitions(
        "Asks",
        '<bpmn:startEvent id="start" />',
        gateway("exclusive", "again"),
        user_task("Ask", field("fine", "boolean", required=True)),
        script("Count", "try:\n    n = n + 1\nexcept NameError:\n    n = 1"),
        gateway("exclusive", "g", "g_again"),
        '<bpmn:endEvent id="fine_end" />',
        '<bpmn:endEvent id="given_up" />',
        flow("start", "again"),
        flow("again", "Ask"),
        flow("Ask", "Count"),
        flow("Count", "g"),
        flow("g", "fine_end", "fine"),
        flow("g", "given_up", "n >= 10"),
        flow("g", "again"),
    )
    assert walked(model).coverage == 100


def test_a_loop_without_an_end_is_left_after_its_bound() -> None:
    model = definitions(
        "Endless",
        '<bpmn:startEvent id="start" />',
        gateway("exclusive", "again"),
        user_task("Ask"),
        flow("start", "again"),
        flow("again", "Ask"),
        flow("Ask", "again"),
    )
    report = check_bundle([BundleFile("m.bpmn", model)])
    for one in report.models:
        assert dry_run.walk(one, NOW, most_steps=50).steps <= 50


def test_a_form_that_takes_nothing_that_is_tried_is_said_and_a_default_helps() -> None:
    rules = """<camunda:properties><camunda:property id="pattern" value="QX-[0-9]{7}" /></camunda:properties>
               <camunda:validation><camunda:constraint name="required" /></camunda:validation></camunda:formField>"""
    odd = sequence("Odd", user_task("Ask", field("code").replace("</camunda:formField>", rules)))
    assert walked(odd).unfilled == ("Ask",)
    assert walked(odd.replace(b'type="string"', b'type="string" defaultValue="QX-1234567"')).coverage == 100


def test_every_construct_of_the_guide_can_be_walked() -> None:
    """Nothing of what the engine runs makes the search stumble, and most of it is reached whole."""
    whole = 0
    for feature in FEATURES:
        run = walked(*feature.files)
        whole += run.coverage == 100
        assert run.reached
        assert not run.spent, feature.name
    assert whole > 0.75 * len(FEATURES)
