"""One agency: how far it is, what stands in the way, what is held of it, and its agreement in plain words."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from hub.console.access import Permission
from hub.console.holds import REASONS
from hub.console.languages import marked
from hub.console.overview import Overview, overview, words_of_progress
from hub.console.routing import API, Guarded, Section
from hub.console.steering import DEED_NAMES, SIDE_NAMES, STATE_NAMES
from hub.console.visit import Visit
from hub.contracts.agreements import CONSENT, PUBLIC_MISSION, Agreement
from hub.ops.holds import Holds
from hub.ops.troubles import undelivered_at

# So many deliveries and holds are shown; there may be more.
SHOWN = 100

STATES = {
    "refused": marked("Refused"),
    "waiting": marked("Waiting"),
}
GROUNDS = {
    PUBLIC_MISSION: marked("by its public mission"),
    CONSENT: marked("with the person's consent"),
}


@dataclass(frozen=True)
class Undelivered:
    """A delivery that the agency's side could not apply. `entity`: hub id, and to an agency its own name of
    it, as in its inbox; `since_ms`: Unix milliseconds."""

    entity: str
    record_type: str
    state: str
    code: str
    column: str
    since_ms: int


@dataclass(frozen=True)
class Held:
    """A change, or a mass of changes (`B3`), that waits for a person. `local_id` is covered."""

    id: str
    record_type: str
    reason: str
    fields: tuple[str, ...]
    changes: int
    local_id: str
    since_ms: int


@dataclass(frozen=True)
class Granted:
    """Fields of one record type that the agency may hold, why, and until which day (ISO), if not always."""

    record_type: str
    fields: tuple[str, ...]
    purpose: str
    legal_basis: str
    create: bool
    until: str | None


@dataclass(frozen=True)
class Terms:
    """An agreement. `publishes`: record type → fields that the agency says; `until`: ISO date."""

    name: dict[str, str]
    until: str
    publishes: dict[str, tuple[str, ...]]
    receives: tuple[Granted, ...]


@dataclass(frozen=True)
class AgencyView:
    """All of it. `truncated`: there are more deliveries or holds than are shown."""

    agency: str
    progress: Overview
    undelivered: tuple[Undelivered, ...]
    held: tuple[Held, ...]
    truncated: bool
    terms: Terms


def _read(visit: Visit) -> AgencyView:
    agency = visit.path("agency")
    visit.require_agency(agency)
    snapshot = visit.console.status.snapshot()
    with visit.parts.looking() as tx:
        undelivered = undelivered_at(tx, agency, SHOWN + 1)
    holds = Holds(visit.parts).list(agency, limit=SHOWN + 1)
    masses = [brake for brake in snapshot.brakes if brake.agency == agency]
    held = [
        Held(
            f"B{one.id}", one.record_type, one.kind, (), one.undone, "", int(one.opened_at.timestamp() * 1000)
        )
        for one in masses
    ]
    held += [
        Held(
            id=str(one.id),
            record_type=one.change.key.record_type,
            reason=one.reason,
            fields=one.fields,
            changes=1,
            local_id=visit.local_id(agency, one.change.key.local_id),
            since_ms=int(one.created_at.timestamp() * 1000),
        )
        for one in holds
    ]
    return AgencyView(
        agency=agency,
        progress=overview(snapshot, visit.somebody, agency),
        undelivered=tuple(
            Undelivered(
                visit.entity(one.entity),
                one.record_type,
                one.why.state,
                one.why.code,
                one.why.column,
                one.why.since_ms,
            )
            for one in undelivered[:SHOWN]
        ),
        held=tuple(held[:SHOWN]),
        truncated=max(len(undelivered), len(held)) > SHOWN,
        terms=_terms(visit, visit.parts.agreements[agency]),
    )


def _terms(visit: Visit, agreement: Agreement) -> Terms:
    records = visit.parts.catalogue.records
    return Terms(
        name=dict(agreement.name),
        until=agreement.until.isoformat(),
        publishes={
            kind: tuple(spec.name for spec in records[kind].fields if spec.name in fields)
            for kind, fields in agreement.publishes.items()
        },
        receives=tuple(
            Granted(
                kind,
                grant.fields,
                grant.purpose,
                grant.legal_basis,
                grant.create,
                grant.until.isoformat() if grant.until else None,
            )
            for kind, grants in agreement.receives.items()
            for grant in grants
        ),
    )


def show(visit: Visit) -> Response:
    agency = _read(visit)
    return visit.page(
        "agency.html",
        view=agency,
        agreement=visit.parts.agreements[agency.agency],
        reasons=REASONS,
        states=STATES,
        grounds=GROUNDS,
        side_names=SIDE_NAMES,
        state_names=STATE_NAMES,
        deed_names=DEED_NAMES,
        **words_of_progress(),
    )


def read(visit: Visit) -> Response:
    return visit.json(_read(visit))


SECTION = Section(
    (
        Guarded("/agencies/{agency}", show, Permission.SEE_PROGRESS),
        Guarded(
            f"{API}/agencies/{{agency}}",
            read,
            Permission.SEE_PROGRESS,
            returns=AgencyView,
            about="One agency: its progress, what it could not take up, what is held, its agreement.",
        ),
    )
)
