"""Enrolments in the centres' pathways, and the consents that people gave when they were received."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from random import Random

from hub.local.demo.centres import Centre
from hub.local.demo.copies import Copy, Values
from hub.local.demo.people import AS_OF, Person
from hub.local.demo.person_copies import Acquaintance, changed_at

# The agencies that enrol people and collect consents.
ENROLLING = ("entraide", "ads")
# Pathway → its weight, and the modules that are taken in it.
PATHWAYS: Mapping[str, tuple[int, tuple[str, ...]]] = {
    "reception": (10, ()),
    "listening": (10, ()),
    "diagnosis": (8, ()),
    "orientation": (12, ()),
    "training": (
        32,
        (
            "literacy",
            "life_skills",
            "french",
            "digital",
            "sewing",
            "weaving",
            "cooking",
            "hairdressing",
            "childcare",
            "elderly_care",
            "fish_processing",
        ),
    ),
    "employment": (10, ("job_search", "life_skills", "french", "digital")),
    "entrepreneurship": (
        10,
        ("business_plan", "cooperative_management", "financial_education", "digital"),
    ),
    "social_support": (8, ("life_skills", "financial_education")),
}
STATUSES = {"planned": 10, "active": 45, "suspended": 6, "completed": 31, "abandoned": 8}
# Purpose → weight, and who may receive the data for it.
PURPOSES: Mapping[str, tuple[int, tuple[str, ...]]] = {
    "social-integration": (55, ("ads", "entraide")),
    "professional-integration": (30, ("region-laayoune", "ads")),
    "health-followup": (10, ("health",)),
    "statistics": (5, ("entraide", "region-laayoune")),
}
# 0, 1 or 2 enrolments for a person known to an enrolling agency: about 0.6 a person in all.
ENROLMENT_WEIGHTS = (44, 42, 14)
CONSENT_SHARE = 0.25
SHARED_ENROLMENT_SHARE = 0.4
LONGEST_PATHWAY_DAYS = 270
# How far behind is the copy of the agency that only hears of an enrolment.
NEWS_DELAY = timedelta(days=30)


def make_enrolments(
    persons: list[Person], known: list[Acquaintance], centres: list[Centre], rng: Random
) -> Iterator[tuple[str, Copy]]:
    """(agency, copy) of every enrolment, in the order of the enrolments' numbers."""
    places: dict[tuple[str, ...], list[int]] = {
        agencies: [c.number for c in centres if set(agencies) <= set(c.agencies)]
        for agencies in (("entraide",), ("ads",), ENROLLING)
    }
    number = 0
    for person, acquaintance in zip(persons, known, strict=True):
        enrolling = enrolling_at(acquaintance)
        if not enrolling:
            continue
        for _ in range(rng.choices((0, 1, 2), weights=ENROLMENT_WEIGHTS)[0]):
            agencies = _enrolled_at(enrolling, acquaintance, rng)
            references = {"person": person.number, "centre": rng.choice(places[agencies])}
            values, latest_news = _enrolment(number, rng)
            opened, *others = agencies
            copy = Copy(number, values, changed_at(rng, latest_news), references)
            yield opened, copy
            yield from ((agency, _seen_elsewhere(copy)) for agency in others)
            number += 1


def make_consents(
    persons: list[Person], known: list[Acquaintance], rng: Random
) -> Iterator[tuple[str, Copy]]:
    """(agency, copy) of every consent: each is on record at one agency only."""
    number = 0
    for person, acquaintance in zip(persons, known, strict=True):
        enrolling = enrolling_at(acquaintance)
        if enrolling and rng.random() < CONSENT_SHARE:
            references = {"person": person.number}
            given_on = _day_between(person.received_on, AS_OF, rng)
            values = _consent(given_on, rng)
            yield rng.choice(enrolling), Copy(number, values, changed_at(rng, given_on), references)
            number += 1


def enrolling_at(known: Acquaintance) -> tuple[str, ...]:
    """The enrolling agencies that know a person."""
    return tuple(agency for agency in ENROLLING if agency in known.agencies)


def _enrolled_at(enrolling: tuple[str, ...], known: Acquaintance, rng: Random) -> tuple[str, ...]:
    # Only for a linked person may two agencies hold one enrolment: it would otherwise be one
    # enrolment of two people.
    if len(enrolling) > 1 and known.linked and rng.random() < SHARED_ENROLMENT_SHARE:
        return enrolling
    return (rng.choice(enrolling),)


def _enrolment(number: int, rng: Random) -> tuple[Values, date]:
    """The values, and the day of what happened last in it."""
    pathway = rng.choices(list(PATHWAYS), weights=[w for w, _ in PATHWAYS.values()])[0]
    status = rng.choices(list(STATUSES), weights=list(STATUSES.values()))[0]
    length = 20 + int(rng.random() * (LONGEST_PATHWAY_DAYS - 20))
    start = AS_OF.toordinal() + _start_offset(status, length, rng)
    started_on = date.fromordinal(start)
    values: Values = {
        "number": f"INS-{started_on.year}-{number + 1:06d}",
        "pathway": pathway,
        "status": status,
        "started_on": started_on,
    }
    ended_on = None
    if status in ("completed", "abandoned"):
        shortened = int(length * (rng.random() if status == "abandoned" else 1))
        values["ended_on"] = ended_on = date.fromordinal(start + shortened)
    modules = PATHWAYS[pathway][1]
    if modules and status != "planned":
        values["modules"] = sorted(rng.sample(modules, rng.randint(1, min(4, len(modules)))))
    return values, ended_on or started_on


def _start_offset(status: str, length: int, rng: Random) -> int:
    """Days from AS_OF to the start: ahead if planned, long enough ago if the pathway has ended."""
    if status == "planned":
        return 1 + int(rng.random() * 60)
    if status in ("completed", "abandoned"):
        return -length - int(rng.random() * 900)
    return -int(rng.random() * length)


def _seen_elsewhere(copy: Copy) -> Copy:
    """The same enrolment at the agency that did not open it: older, without the latest news."""
    values = {field: value for field, value in copy.values.items() if field != "ended_on"}
    if values["status"] in ("completed", "abandoned"):
        values["status"] = "active"
    modules = values.get("modules")
    if isinstance(modules, list) and len(modules) > 1:
        values["modules"] = modules[:-1]
    return replace(copy, values=values, modified_at=copy.modified_at - NEWS_DELAY)


def _day_between(first: date, last: date, rng: Random) -> date:
    return date.fromordinal(rng.randint(first.toordinal(), last.toordinal()))


def _consent(given_on: date, rng: Random) -> Values:
    purpose = rng.choices(list(PURPOSES), weights=[w for w, _ in PURPOSES.values()])[0]
    recipients = PURPOSES[purpose][1]
    values: Values = {
        "purpose": purpose,
        "recipients": sorted(recipients[: rng.randint(1, len(recipients))]),
        "status": "given" if rng.random() < 0.9 else "withdrawn",
        "given_on": given_on,
    }
    turn = rng.random()
    if turn < 0.5:
        values["valid_until"] = date(2030, 12, 31)
    elif turn < 0.6:
        values["valid_until"] = min(date.fromordinal(given_on.toordinal() + 365), AS_OF)
    return values
