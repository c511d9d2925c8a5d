"""Sessions that are open: one's own, and for those who look after them everybody's; and their end."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from hub.console.access import Permission
from hub.console.asking import number
from hub.console.entrances import Entrances
from hub.console.languages import marked
from hub.console.routing import API, Guarded, Section
from hub.console.signing_in import ROLE_NAMES
from hub.console.visit import Visit

_OWN = "signed out everywhere"


@dataclass(frozen=True)
class OpenSession:
    """A session. `begun_ms`, `until_ms`: Unix milliseconds."""

    id: int
    account: str
    name: str
    role: str
    agency: str | None
    begun_ms: int
    until_ms: int


@dataclass(frozen=True)
class OpenSessions:
    """The newest first."""

    sessions: tuple[OpenSession, ...]


@dataclass(frozen=True)
class Ended:
    """How many sessions were ended."""

    ended: int


def _read(visit: Visit) -> OpenSessions:
    own = None if visit.may(Permission.END_SESSIONS) else visit.somebody.account
    found = Entrances(visit.parts).sessions(own)
    return OpenSessions(
        tuple(
            OpenSession(
                one.id,
                one.account,
                one.name,
                one.role,
                one.agency,
                int(one.begun_at.timestamp() * 1000),
                int(one.until.timestamp() * 1000),
            )
            for one in found
        )
    )


def show(visit: Visit) -> Response:
    return visit.page("sessions.html", seen=_read(visit), roles=ROLE_NAMES)


def read(visit: Visit) -> Response:
    return visit.json(_read(visit))


def leave_everywhere(visit: Visit) -> Response:
    """End all sessions of whoever asks, this one too."""
    Entrances(visit.parts).end(visit.somebody.person, _OWN, account=visit.somebody.account)
    visit.console.doors.forget()
    visit.let_out()
    return visit.go("/sign-in")


def end(visit: Visit) -> Response:
    """End one session, then show those that are left."""
    _end(visit)
    return visit.go("/sessions")


def end_for_programs(visit: Visit) -> Response:
    return visit.json(Ended(_end(visit)))


def _end(visit: Visit) -> int:
    session = number(visit.form.get("session") or None)
    why = visit.stated("why", marked("Say in a few words why."))
    ended = Entrances(visit.parts).end(visit.somebody.person, why, number=session)
    visit.console.doors.forget()
    return len(ended)


SECTION = Section(
    (
        Guarded("/sessions", show, Permission.SIGNED_IN),
        Guarded("/sessions/leave", leave_everywhere, Permission.SIGNED_IN, method="POST"),
        Guarded("/sessions/end", end, Permission.END_SESSIONS, method="POST"),
        Guarded(
            f"{API}/sessions",
            read,
            Permission.SIGNED_IN,
            returns=OpenSessions,
            about="Sessions that are open: one's own, or for operators and stewards everybody's.",
        ),
        Guarded(
            f"{API}/sessions/end",
            end_for_programs,
            Permission.END_SESSIONS,
            method="POST",
            returns=Ended,
            about="End one session before its time.",
            asks=(("session", "Its number."), ("why", "Why, in a few words; kept in the audit trail.")),
        ),
    )
)
