"""What variables look like inside the broker: names as drawn, values sealed, so that its disk tells nobody anything.

Clear stay: `null`, what a model declares with a process property `dams:clear`, and what a handler's output declares
as :data:`Clear`. A gateway can only decide on clear values.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from app.core.envelope import seal_value, unseal_value

PURPOSE: Final = "zeebe"
RUN: Final = "dams_run"
PROCESS: Final = "dams_process"
OWN: Final = frozenset({RUN, PROCESS})
"""Names that DAMS itself sets on every instance: ids, never sealed."""


class ClearMark:
    """See :data:`Clear`."""


Clear: Final = ClearMark()
"""Marks an output in its type, `Annotated[bool, Clear]`: it says nothing about a patient and gateways may read it."""


def sealed(variables: Mapping[str, Any], clear: Collection[str] = ()) -> dict[str, Any]:
    """*variables* as the broker may hold them."""
    return {
        name: value if value is None or name in clear or name in OWN else seal_value(value, PURPOSE)
        for name, value in variables.items()
    }


def opened(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The values, without DAMS' own names. Raises :class:`Unreadable` for what another service sealed."""
    return {name: unseal_value(value, PURPOSE) for name, value in variables.items() if name not in OWN}
