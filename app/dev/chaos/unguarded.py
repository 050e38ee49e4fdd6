"""A process of ours without one of its guards: `python -m app.dev.chaos.unguarded GUARD MODULE …`.

The product has no switch for this: what is taken away is taken away here, before the module runs as it always does.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB


def revision() -> None:
    """A step is written although something has happened to its instance and task since they were seen."""
    from app.engines.spiff import statements

    given = ":revision is not null or :task_state is not null or :assignee_id is null"  # the statement has to name them
    setattr(statements, "HELD", f"select from user_task t where t.id = :task_id and ({given})")  # noqa: B010 - it is a constant to the type checker


def skip_locked() -> None:
    """Two relays may take the same effects into their hands."""
    from app.engines import relay

    guarded = str(vars(relay)["_CLAIM"].element)
    claim = text(guarded.replace("for update skip locked", "")).columns(payload=JSONB)
    setattr(relay, "_CLAIM", claim)  # noqa: B010 - it is a constant to the type checker


def reconnects() -> None:
    """pyzeebe gives up after the ten losses that are its own default."""
    from pyzeebe.grpc_internals.zeebe_adapter import ZeebeAdapter

    made: Any = ZeebeAdapter.__init__

    def ten(self: Any, channel: Any, *_: Any) -> None:
        made(self, channel, 10)

    setattr(ZeebeAdapter, "__init__", ten)  # noqa: B010 - a type checker would refuse the assignment


GUARDS: dict[str, Callable[[], None]] = {
    "revision": revision,
    "skip-locked": skip_locked,
    "reconnects": reconnects,
}

if __name__ == "__main__":
    GUARDS[sys.argv[1]]()
    module = sys.argv[2]
    sys.argv = sys.argv[2:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
