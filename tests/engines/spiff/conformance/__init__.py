"""One small model per construct of BPMN, with what must have completed, in which order, once it has run.

`docs/modelling.md` shows these as a table; `test_conformance` runs each in process, and again with a save and reload
before every single step. Importing this package fills `FEATURES`.
"""

from tests.engines.spiff.conformance import flows, events, boundaries, event_subs, undoing, loops  # noqa: F401, I001 - in the order of the table
from tests.engines.spiff.conformance import tokens, data, variables, rules  # noqa: F401
from tests.engines.spiff.conformance.drawn import FEATURES, Feature

__all__ = ["FEATURES", "Feature"]
