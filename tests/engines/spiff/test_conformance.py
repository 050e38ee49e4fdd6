"""Every construct of the table in `docs/modelling.md` runs as the standard says, however often it is saved."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.engines.spiff.conformance import FEATURES, Feature, table
from tests.engines.spiff.runs import WIDE, Run, loaded


def _named(feature: Feature) -> str:
    return f"{feature.family}: {feature.name}"


@pytest.mark.parametrize("saving", ["plain", "reloaded before every step"])
@pytest.mark.parametrize("feature", FEATURES, ids=_named)
def test_a_construct_runs_as_the_standard_says(feature: Feature, saving: str) -> None:
    bounds = WIDE if saving == "plain" else replace(WIDE, steps=1)
    run = Run(loaded(*feature.files), bounds, finishing=True, **feature.given)
    feature.steps(run)
    assert [element for element in run.done() if not element.endswith("_flow")] == feature.done.split()
    assert (run.status, [code for _, code in run.incidents]) == (
        feature.status,
        [feature.incident] if feature.incident else [],
    )
    assert {name: run.variables.get(name) for name in feature.variables} == feature.variables


def test_the_table_of_constructs_in_the_guide_is_made_from_these_tests() -> None:
    text = table.GUIDE.read_text()
    assert table.written(text) == text, "run: python -m tests.engines.spiff.conformance.table"
