"""What centres find out about people, and where they send them: assessments and referrals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from hub.local.demo.cases import (
    ROLES,
    Case,
    behind,
    day_since,
    days_later,
    drawn,
    make_cases,
    on_books_of,
)
from hub.local.demo.centres import Centre
from hub.local.demo.copies import Copy, Values
from hub.local.demo.directory import Entry
from hub.local.demo.people import Person
from hub.local.demo.person_copies import Acquaintance, changed_at

ASSESSED_SHARE = 0.12
REFERRED_SHARE = 0.1
# Of the patients whom a centre could send to a health service.
TO_HEALTH_SHARE = 0.15
LEVELS = {"critical": 20, "fragile": 40, "stable": 30, "autonomous": 10}
AREAS = ("housing", "income", "education", "employability", "family", "health")
VULNERABILITIES = (
    "addiction", "begging", "child_labour", "chronic_illness", "extreme_poverty", "homelessness",
    "isolation", "no_civil_papers", "school_dropout", "single_mother", "violence", "widowhood",
)  # fmt: skip
REASONS = {
    "civil_papers": 10, "legal_aid": 8, "housing": 12, "schooling": 10, "training": 18, "employment": 16,
    "financing": 8, "violence": 6, "child_protection": 6, "psychological_support": 6, "disability": 4,
    "health_care": 4,
}  # fmt: skip
HEALTH_REASONS = {"health_care": 60, "psychological_support": 25, "disability": 15}
URGENCIES = {"normal": 80, "urgent": 15, "immediate": 5}
STATES = {
    "proposed": 8, "sent": 25, "accepted": 20, "declined": 8, "under_way": 18, "completed": 16,
    "withdrawn": 5,
}  # fmt: skip
# The health services answer what reaches them.
HEALTH_STATES = {"accepted": 30, "declined": 5, "under_way": 30, "completed": 35}
_ANSWERED = tuple(HEALTH_STATES)
_CLOSED = ("declined", "completed", "withdrawn")
_REVIEW_AFTER = timedelta(days=180)

# (agency, record type, its copy)
Shelved = tuple[str, str, Copy]
# (number, values, the day of what happened last)
Slip = tuple[int, Values, date]
Weights = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where people can be sent: what there is, and who has it on their books."""

    centres: Sequence[Centre]
    associations: Sequence[Entry]
    services: Sequence[Entry]


def make_assessments(
    persons: Sequence[Person], known: Sequence[Acquaintance], centres: Sequence[Centre], rng: Random
) -> Iterator[Shelved]:
    """Assessments: each is on record at the agency that made it."""
    for number, case in enumerate(make_cases(persons, known, ASSESSED_SHARE, rng)):
        agency = rng.choice(case.agencies)
        references = {"person": case.person.number, "centre": rng.choice(on_books_of(centres, [agency]))}
        assessed_on = day_since(case.person.received_on, rng)
        values = _assessment(assessed_on, rng)
        yield agency, "assessment", Copy(number, values, changed_at(rng, assessed_on), references)


def make_referrals(
    persons: Sequence[Person],
    known: Sequence[Acquaintance],
    around: Surroundings,
    next_consent: int,
    rng: Random,
) -> Iterator[Shelved]:
    """Referrals; for each to the health services also the person's consent that they know, and their answer.

    `next_consent`: the first number of a consent that is free.
    """
    number = 0
    for case in make_cases(persons, known, REFERRED_SHARE, rng):
        agencies = case.opened_at(rng)
        target = _target(around, agencies, rng)
        yield from _referred(case, agencies, _slip(number, case, REASONS, STATES, rng), around, target, rng)
        number += 1
    for patient in _patients(persons, known, rng):
        agencies = (rng.choice(patient.agencies),)
        here = [one for one in around.services if one.values["sector"] == "health"]
        target = {"to_service": rng.choice(on_books_of(here, [*agencies, "health"]))}
        slip = _slip(number, patient, HEALTH_REASONS, HEALTH_STATES, rng)
        (referral,) = _referred(patient, agencies, slip, around, target, rng)
        yield referral
        yield _consent(next_consent, referral)
        yield "health", "referral", _answer(referral)
        next_consent += 1
        number += 1


def _patients(persons: Sequence[Person], known: Sequence[Acquaintance], rng: Random) -> Iterator[Case]:
    """People whom the health services know, too, and the hub can tell that it is they; the first always."""
    linked = [
        (person, one)
        for person, one in zip(persons, known, strict=True)
        if one.linked and "health" in one.agencies
    ]
    yield from make_cases([p for p, _ in linked], [k for _, k in linked], TO_HEALTH_SHARE, rng)


def _assessment(assessed_on: date, rng: Random) -> Values:
    values: Values = {
        "assessed_on": assessed_on,
        "assessor_role": rng.choice(ROLES),
        "vulnerabilities": sorted(rng.sample(VULNERABILITIES, rng.randint(1, 3))),
    }
    values |= {area: drawn(LEVELS, rng) for area in AREAS}
    if rng.random() < 0.7:
        values["review_on"] = assessed_on + _REVIEW_AFTER
    return values


def _target(around: Surroundings, agencies: Sequence[str], rng: Random) -> dict[str, int]:
    """Where to: a service, an association or another centre that all of `agencies` know."""
    turn = rng.random()
    services = on_books_of(around.services, agencies)
    associations = on_books_of(around.associations, agencies)
    if services and turn < 0.5:
        return {"to_service": rng.choice(services)}
    if associations and turn < 0.75:
        return {"to_association": rng.choice(associations)}
    return {"to_centre": rng.choice(on_books_of(around.centres, agencies))}


def _slip(number: int, case: Case, reasons: Weights, states: Weights, rng: Random) -> Slip:
    """What is written on a referral's slip, and the day of what happened last."""
    issued_on = day_since(case.person.received_on, rng)
    state = drawn(states, rng)
    values: Values = {
        "number": f"ORI-{issued_on.year}-{number + 1:06d}",
        "reason": drawn(reasons, rng),
        "urgency": drawn(URGENCIES, rng),
        "state": state,
        "issued_on": issued_on,
    }
    last = issued_on
    if state in _ANSWERED:
        values["answered_on"] = last = days_later(last, 20, rng)
    if state in _CLOSED:
        values["closed_on"] = last = days_later(last, 90, rng)
    return number, values, last


def _referred(
    case: Case,
    agencies: tuple[str, ...],
    slip: Slip,
    around: Surroundings,
    target: dict[str, int],
    rng: Random,
) -> Iterator[Shelved]:
    """The referral at the agency that wrote the slip, and at the other, which has heard less of it."""
    number, values, last = slip
    references = {
        "person": case.person.number,
        "from_centre": rng.choice(on_books_of(around.centres, agencies)),
        **target,
    }
    copy = Copy(number, values, changed_at(rng, last), references)
    yield agencies[0], "referral", copy
    for other in agencies[1:]:
        yield other, "referral", behind(copy, ("answered_on", "closed_on"), state="sent")


def _answer(referral: Shelved) -> Copy:
    """What the health services write down of a slip that a patient brought: its number, and their answer."""
    slip = referral[2]
    known = {name: slip.values[name] for name in ("number", "state", "answered_on")}
    return Copy(slip.number, known, slip.modified_at, {"person": slip.references["person"]})


def _consent(number: int, referral: Shelved) -> Shelved:
    """Whoever is sent to a health service says that it may know: given at the same desk, the same day."""
    agency, _, slip = referral
    values: Values = {
        "purpose": "health-followup",
        "recipients": ["health"],
        "status": "given",
        "given_on": slip.values["issued_on"],
        "valid_until": date(2030, 12, 31),
    }
    return agency, "consent", Copy(number, values, slip.modified_at, {"person": slip.references["person"]})
