"""What a dry run found: plain records, the same for the command line, the API and the pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from app.engines.spiff.elements import Element

MoveKind = Literal["start", "form", "job", "error", "message", "signal", "timer"]


@dataclass(frozen=True, slots=True)
class Move:
    """One thing that was done from outside: how the process was started, a form with its values, a job's answer."""

    kind: MoveKind
    element_id: str
    given: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Failure:
    """An element that could not go on, with the shortest way that was found to it. `line` is the script's, or 0."""

    element_id: str
    code: str
    message: str
    line: int
    moves: tuple[Move, ...]


@dataclass(frozen=True, slots=True)
class Missed:
    """An element that no way came to. `proved` says that none can, whatever is entered."""

    element_id: str
    reason: str
    proved: bool


@dataclass(frozen=True, slots=True)
class DryRun:
    """`unfilled` are tasks whose forms took nothing that was tried, `needs` names that whoever starts has to bring.

    `ended` counts the ways that came to an end; `spent` says that a bound ended the search before it was through.
    """

    process_id: str
    reached: tuple[str, ...]
    unfilled: tuple[str, ...]
    needs: tuple[str, ...]
    missed: tuple[Missed, ...]
    failures: tuple[Failure, ...]
    ways: int
    ended: int
    steps: int
    seconds: float
    spent: bool

    def as_dict(self) -> dict[str, Any]:
        """The members of a dry run in the API."""
        return {**asdict(self), "coverage": round(self.coverage, 1)}

    @property
    def coverage(self) -> float:
        """Reached elements of all those that can be, in percent."""
        open_ = [one for one in self.missed if not one.proved]
        whole = len(self.reached) + len(open_)
        return 100.0 * len(self.reached) / whole if whole else 100.0


def is_node(element: Element) -> bool:
    """Whether an element is one that a token enters; a sequence flow is passed and not entered."""
    return element.type != "sequenceFlow"
