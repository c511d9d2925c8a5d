"""The release's record types and one more, with agreements that have every kind of grant a rule speaks of."""

from __future__ import annotations

from pathlib import Path

from hub.contracts.events import EventSchemas
from hub.contracts.policies import type_policies
from hub.contracts.records import Catalogue, read_record_type
from hub.core.projection import Grant, Terms
from hub.core.tokens import Ids

_HERE = Path(__file__).parent
SCHEMAS = _HERE.parents[1] / "schemas"

CATALOGUE = Catalogue(
    {
        **Catalogue.load(SCHEMAS / "records").records,
        # Loaded like any other: a new record type needs no code (R1).
        "cooperative": read_record_type(_HERE / "cooperative.avsc"),
    }
)
EVENTS = EventSchemas(SCHEMAS / "events")
TYPES = type_policies(CATALOGUE)
IDS = Ids(b"a secret of the tests, 32 bytes!")

# The day on which tests happen, in days since 1970-01-01, and one that never comes.
TODAY, NEVER = 20_000, 60_000

INTEGRATION = "social-integration"
HEALTH = "health-followup"


def names(record_type: str, *without: str) -> frozenset[str]:
    """The fields of a record type, but for those named."""
    return frozenset(CATALOGUE.records[record_type].by_name) - set(without)


def grant(
    fields: frozenset[str], *, create: bool = True, consent: str = "", until: int | None = None
) -> Grant:
    """A grant by public mission, or under consent to the purpose `consent`."""
    return Grant(fields, consent or INTEGRATION, bool(consent), create, until)


def terms(agency: str, record_type: str, *grants: Grant, until: int = NEVER) -> Terms:
    """Terms of an agency that may publish every field, and receives what the grants allow."""
    return Terms(agency, names(record_type), grants, until)


def _disability() -> Grant:
    return grant(frozenset({"disability"}), create=False, consent=INTEGRATION)


# entraide knows everything of everybody; ads a disability only under consent; region only updates people
# whom it has, and their phones under consent; health knows people, and their enrolments, under consent.
TERMS: dict[str, tuple[Terms, ...]] = {
    "person": (
        terms("ads", "person", grant(names("person", "massar_code", "disability")), _disability()),
        terms("entraide", "person", grant(names("person"))),
        terms("health", "person", grant(names("person", "massar_code"), consent=HEALTH)),
        terms(
            "region",
            "person",
            grant(names("person", "cin", "phone", "disability"), create=False),
            grant(frozenset({"phone"}), create=False, consent=INTEGRATION),
        ),
    ),
    "centre": tuple(
        terms(agency, "centre", grant(names("centre"))) for agency in ("ads", "entraide", "region")
    ),
    "enrolment": (
        terms("ads", "enrolment", grant(names("enrolment"))),
        terms("entraide", "enrolment", grant(names("enrolment"))),
        terms("health", "enrolment", grant(names("enrolment", "centre"), consent=HEALTH)),
    ),
    "consent": tuple(terms(agency, "consent", grant(names("consent"))) for agency in ("ads", "entraide")),
    "cooperative": tuple(
        terms(agency, "cooperative", grant(names("cooperative"))) for agency in ("ads", "entraide")
    ),
}
AGENCIES = ("ads", "entraide", "health", "region")
