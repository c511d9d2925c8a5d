"""The release's record types, and agreements that have every kind of grant that a rule speaks of."""

from __future__ import annotations

from pathlib import Path

from hub.contracts.events import EventSchemas
from hub.contracts.policies import type_policies
from hub.contracts.records import Catalogue
from hub.core.projection import Grant, Terms
from hub.core.tokens import Ids

SCHEMAS = Path(__file__).parents[2] / "schemas"
CATALOGUE = Catalogue.load(SCHEMAS / "records")
EVENTS = EventSchemas(SCHEMAS / "events")
TYPES = type_policies(CATALOGUE)
IDS = Ids(b"a secret of the tests, 32 bytes!")

# Far from any day that a test speaks of.
NEVER = 60_000
TODAY = 20_000

INTEGRATION = "social-integration"
HEALTH = "health-followup"


def _all(record_type: str, *without: str) -> frozenset[str]:
    return frozenset(CATALOGUE.records[record_type].by_name) - set(without)


def grant(fields: frozenset[str], *, create: bool = True, consent: str = "", until: int | None = None) -> Grant:
    """A grant by public mission, or by consent to the purpose `consent`."""
    return Grant(fields, consent or INTEGRATION, bool(consent), create, until)


def terms(agency: str, record_type: str, *grants: Grant, until: int = NEVER) -> Terms:
    """Terms of an agency that may publish every field, and receives what the grants allow."""
    return Terms(agency, _all(record_type), grants, until)


# entraide knows all; ads needs consent for a disability; region only updates what it has, and phones under
# consent; clinic gets people, and their enrolments, only where they consent.
TERMS: dict[str, tuple[Terms, ...]] = {
    "person": (
        terms("ads", "person", grant(_all("person", "massar_code", "disability")),
              grant(frozenset({"disability"}), create=False, consent=INTEGRATION)),
        terms("clinic", "person", grant(_all("person", "massar_code"), consent=HEALTH)),
        terms("entraide", "person", grant(_all("person"))),
        terms("region", "person", grant(_all("person", "cin", "phone"), create=False),
              grant(frozenset({"phone"}), create=False, consent=INTEGRATION)),
    ),
    "centre": (
        terms("ads", "centre", grant(_all("centre"))),
        terms("entraide", "centre", grant(_all("centre"))),
        terms("region", "centre", grant(_all("centre"))),
    ),
    "enrolment": (
        terms("ads", "enrolment", grant(_all("enrolment"))),
        terms("clinic", "enrolment", grant(_all("enrolment", "centre"), consent=HEALTH)),
        terms("entraide", "enrolment", grant(_all("enrolment"))),
    ),
    "consent": (
        terms("ads", "consent", grant(_all("consent"))),
        terms("entraide", "consent", grant(_all("consent"))),
    ),
}  # fmt: skip
AGENCIES = ("ads", "clinic", "entraide", "region")
