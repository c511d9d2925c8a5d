"""Who may do what: roles, permissions, and the person who has come in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from hub.errors import ConfigurationError
from hub.ops.audit import Person


class Role(StrEnum):
    """What somebody is to the hub. An `agency` role is always of one agency, and sees only that one."""

    OPERATOR = "operator"
    STEWARD = "steward"
    AGENCY = "agency"
    AUDITOR = "auditor"


class Permission(StrEnum):
    """What a route needs. ANYONE is for signing in, health and the like: it must be said, too."""

    ANYONE = "anyone"
    SIGNED_IN = "signed-in"
    SEE_PROGRESS = "see-progress"
    SEE_HOLDS = "see-holds"
    SEE_RECORDS = "see-records"
    SEE_DEAD_LETTERS = "see-dead-letters"
    SEE_OWN_DEAD_LETTERS = "see-own-dead-letters"
    SEE_CONTRACTS = "see-contracts"
    SEE_AUDIT = "see-audit"
    REVEAL = "reveal"
    DECIDE = "decide"
    REDRIVE = "redrive"
    STEER = "steer"
    END_SESSIONS = "end-sessions"


_EVERY_ROLE = frozenset({Permission.SIGNED_IN, Permission.SEE_PROGRESS, Permission.SEE_CONTRACTS})

# What is not listed is denied. Values in full are for stewards, who must tell two persons apart; who decides
# or reveals does not see the trail of it: that is for those who look after them.
GRANTS: Mapping[Role, frozenset[Permission]] = {
    Role.OPERATOR: _EVERY_ROLE
    | {
        Permission.SEE_HOLDS,
        Permission.SEE_RECORDS,
        Permission.SEE_DEAD_LETTERS,
        Permission.SEE_OWN_DEAD_LETTERS,
        Permission.REDRIVE,
        Permission.STEER,
        Permission.END_SESSIONS,
    },
    Role.STEWARD: _EVERY_ROLE
    | {
        Permission.SEE_HOLDS,
        Permission.SEE_RECORDS,
        Permission.SEE_DEAD_LETTERS,
        Permission.SEE_OWN_DEAD_LETTERS,
        Permission.REVEAL,
        Permission.DECIDE,
        Permission.END_SESSIONS,
    },
    # It wrote them itself.
    Role.AGENCY: _EVERY_ROLE | {Permission.SEE_OWN_DEAD_LETTERS},
    Role.AUDITOR: _EVERY_ROLE | {Permission.SEE_HOLDS, Permission.SEE_RECORDS, Permission.SEE_AUDIT},
}

# As an identity provider or a form gives it: shown on pages and kept in the audit trail.
_NAME = re.compile(r"[^\x00-\x1f\x7f<>]{1,80}")


@dataclass(frozen=True)
class User:
    """Somebody signed in. `account`: how whoever let them in knows them; `agency`: for that role alone."""

    name: str
    account: str
    role: Role
    agency: str | None = None

    def __post_init__(self) -> None:
        if (self.role is Role.AGENCY) != (self.agency is not None):
            raise ConfigurationError("the role `agency`, and no other, is of an agency: name which")
        if not (_NAME.fullmatch(self.name) and _NAME.fullmatch(self.account)):
            raise ConfigurationError("a user needs a name and an account of at most 80 plain characters")

    def may(self, permission: Permission) -> bool:
        return permission in GRANTS[self.role]

    def sees(self, agency: str) -> bool:
        """Whether what concerns this agency may be shown."""
        return self.agency is None or self.agency == agency

    @property
    def person(self) -> Person:
        """For the audit trail."""
        return Person(self.name, self.account)

    def kept(self) -> dict[str, str | None]:
        """For a session."""
        return {"name": self.name, "account": self.account, "role": self.role, "agency": self.agency}


def allowed(user: User | None, permission: Permission) -> bool:
    """Whether a route that needs `permission` is open; nobody has come in where `user` is None."""
    return permission is Permission.ANYONE or (user is not None and user.may(permission))
