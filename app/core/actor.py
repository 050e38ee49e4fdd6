"""Who acts: the signed-in person as the rest of the code sees them."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.errors import Forbidden

DESK = frozenset({"doctor", "staff", "admin"})
"""The roles to which a task without candidates is open."""


@dataclass(frozen=True, slots=True)
class Actor:
    """An account with its roles and groups, loaded once per request."""

    id: int
    username: str
    display_name: str
    roles: frozenset[str]
    groups: frozenset[str] = frozenset()
    locale: str = "en"

    @property
    def candidate_names(self) -> frozenset[str]:
        """What a model may call this person in `candidateGroups` or a lane, in lower case."""
        return self.roles | self.groups

    def has(self, *roles: str) -> bool:
        return not self.roles.isdisjoint(roles)

    def require(self, *roles: str) -> None:
        """Raise :class:`Forbidden`, naming the roles, unless this person has one of them."""
        if not self.has(*roles):
            raise Forbidden(f"This needs the role {' or '.join(sorted(roles))}.")
