"""One tree of errors. The class docstring is the title people read; edges translate, nobody else does.

HTTP answers ``status`` with ``application/problem+json`` or a page; ``retryable`` tells the relay and the
workers whether trying again can help. ``detail`` never carries patient data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding in a deployed file, as `POST /api/v1/checks` and `./dams check` print it.

    ``line`` is 1-based in ``file``; 0 when the file could not be parsed that far.
    """

    file: str
    line: int
    element_type: str
    element_id: str
    element_name: str
    rule: str
    severity: Literal["error", "warning"]
    message: str
    fix: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class DamsError(Exception):
    """Something went wrong"""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str = "", **context: Any) -> None:
        super().__init__(detail or self.title())
        self.detail = detail
        self.context = context
        """Further members of the problem document, JSON values only."""

    @classmethod
    def title(cls) -> str:
        return (cls.__doc__ or cls.__name__).strip().splitlines()[0]


class BadRequest(DamsError):
    """The request cannot be read"""

    code, status = "bad-request", 400


class SignInRequired(DamsError):
    """Sign in first"""

    code, status = "sign-in-required", 401


class Forbidden(DamsError):
    """Your role does not allow this"""

    code, status = "forbidden", 403


class NotFound(DamsError):
    """There is nothing here, or it is not yours to see"""

    code, status = "not-found", 404


class Conflict(DamsError):
    """Somebody else was first"""

    code, status = "conflict", 409


class TooLarge(DamsError):
    """That is too big"""

    code, status = "too-large", 413


class Invalid(DamsError):
    """Some fields need attention

    ``errors`` maps a field id to the sentence shown beside it.
    """

    code, status = "invalid", 422

    def __init__(self, errors: dict[str, str], detail: str = "") -> None:
        super().__init__(detail or "; ".join(f"{field}: {text}" for field, text in errors.items()))
        self.errors = errors


class ModelRefused(DamsError):
    """The model was refused and nothing was stored"""

    code, status = "model-refused", 422

    def __init__(self, problems: Sequence[Problem]) -> None:
        errors = [problem for problem in problems if problem.severity == "error"]
        super().__init__(f"{len(errors)} problem(s) must be mended first")
        self.problems = list(problems)


class TooManyAttempts(DamsError):
    """Too many attempts; wait a little"""

    code, status, retryable = "too-many-attempts", 429, True


class Unavailable(DamsError):
    """A server this needs is not answering"""

    code, status, retryable = "unavailable", 503, True


class NoAnswer(DamsError):
    """The engine did not answer in time"""

    code, status, retryable = "no-answer", 504, True
