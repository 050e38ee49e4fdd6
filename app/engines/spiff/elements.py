"""What is known about the elements of a parsed model: plain data, stored with it, used by pages and the API.

Nothing here runs or checks anything; the XML itself stays in `intake` and `checks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

EFFECTS = ("hold_slot", "book_appointment", "register_patient", "record_diagnosis", "bill_visit", "create_account")
"""The effects that a model may name; `effects` holds the function of each."""

LOSSES: Mapping[str, Mapping[str, Any]] = {"book_appointment": {"slot_lost": True}}
"""What the process is told instead when somebody else was first (see `effects.Lost`)."""


@dataclass(frozen=True, slots=True)
class Element:
    """One flow node or sequence flow of the uploaded file.

    ``type`` is the BPMN local name, ``line`` is 1-based in the file, ``lane`` the lane's name, ``parent`` the id of
    the sub-process around it ("" when it stands in the process itself).
    """

    id: str
    type: str
    name: str
    line: int
    lane: str
    parent: str
    effect: str = ""
    """What DAMS does in the transaction of the step that completes it (see `effects`)."""
    initiator: str = ""
    """Of a start event: the variable that gets the name of who starts the process."""
    topic: str = ""
    """Of a service task: what does it (see `app.engines.topics`)."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class UserTaskInfo:
    """Who may do a user or manual task, and by when.

    ``candidate_roles`` are role or group names as written in the model, the lane's name included. ``due`` is an
    ISO 8601 duration counted from the task's creation, a date or date-time, or "".
    """

    candidate_roles: tuple[str, ...] = ()
    candidate_users: tuple[str, ...] = ()
    assignee: str = ""
    due: str = ""
    follow_up: str = ""
    priority: int | None = None
    documentation: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> UserTaskInfo:
        """What `as_dict` gave, as it comes back from JSON, where tuples are lists."""
        members: dict[str, Any] = dict(row)
        for name in ("candidate_roles", "candidate_users"):
            members[name] = tuple(members[name])
        return cls(**members)
