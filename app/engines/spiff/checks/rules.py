"""Every rule of the deployment checks, once: its id, and whether breaking it stops the deployment.

`docs/modelling.md` explains each with an example and its cure; a test holds the two lists together.
"""

from __future__ import annotations

from typing import Literal

Severity = Literal["error", "warning"]

_ERRORS = """
attached-to called-element camunda-assignment camunda-code camunda-extension camunda-listener
call-mapping caught-twice compensation complex-gateway condition-ignored condition-missing condition-syntax
decision-missing decision-table effect-unknown
dangling-reference data-store dead-end default-flow doctype due-date duplicate-id encoding end-event-flow error-code
event-definition-missing event-definition-ref event-gateway event-position event-sub-process
expression-dialect expression-syntax field-constraint field-default field-id field-options field-type flow-crossing
form-key ad-hoc input-output instantiate io-specification link-event lookup-parameter lookup-unknown loop-bound
message-name missing-id multi-instance multi-instance-behavior no-end-event no-executable-process no-start-event
initiator join-stuck start-form
not-xml output-missing priority schema script-format script-import script-missing script-name script-syntax
job-inputs json-syntax spec-class spec-flow spec-member spec-name spec-operator
several-event-definitions several-start-events start-event-type sub-process-start timer-syntax
token-quantity unreachable too-deep too-large too-many-elements unbound-service unsupported-element
gateway-direction lane message-flow
feel-equals zeebe-construct zeebe-extension zeebe-retries
"""
_WARNINGS = """
call-data data-store-drawn declared-output duplicate-flow error-uncaught fake-join field-untyped join-fork
label-condition loop-without-wait name-never-set name-sometimes-set
process-skipped recursive-call result-variable retry-cycle unreachable-end
gateway-default platform-version user-task zeebe-start
"""

RULES: dict[str, Severity] = {
    **dict.fromkeys(_ERRORS.split(), "error"),
    **dict.fromkeys(_WARNINGS.split(), "warning"),
}
