"""The seeded population: every agency's copies of a region's people, and the truth about them.

Everything follows from `(people, seed)`: no clock, no global random state, no hash order. What
differs between two agencies' copies of one person is what differs in real life: fields that nobody
asked for, another clerk's spelling, an older telephone number, no identity card number.
"""

from __future__ import annotations

from random import Random

from hub.local.demo.acquaintance import make_acquaintances
from hub.local.demo.centres import Centre, centres_for, copies_of_centre, make_centres
from hub.local.demo.copies import AGENCIES, Copy, Population
from hub.local.demo.courses import make_modules, make_results
from hub.local.demo.directory import (
    Entry,
    copies_of,
    entries_for,
    make_associations,
    make_services,
)
from hub.local.demo.enrolments import ENROLLING, make_consents, make_enrolments
from hub.local.demo.followup import Surroundings, make_assessments, make_referrals
from hub.local.demo.people import Person, make_people
from hub.local.demo.person_copies import Acquaintance, copy_of
from hub.local.demo.projects import make_pathways, make_plans, make_projects

_ALL = (
    "person", "centre", "enrolment", "consent", "association", "service", "referral", "assessment",
    "module", "module_result", "project", "support_plan", "pathway",
)  # fmt: skip
# The record types that each agency keeps.
RECORD_TYPES = {
    "entraide": _ALL,
    "ads": _ALL,
    "region-laayoune": ("person", "centre", "association", "service", "module", "project"),
    "health": ("person", "service", "referral"),
}

Shelves = dict[str, dict[str, list[Copy]]]


def population(people: int, seed: int) -> Population:
    """The population of `people` persons that belongs to `seed`: the same one at every call.

    CPU-bound, about 40 µs a person. Raises ValueError if `people` is not positive.
    """
    if people < 1:
        raise ValueError(f"a population needs at least one person, not {people}")
    rng = Random(seed)  # noqa: S311 — made-up people, nothing secret
    persons = make_people(people, rng)
    known, truth = make_acquaintances(persons, rng)
    centres = make_centres(centres_for(people), rng)
    shelves: Shelves = {a: {record: [] for record in RECORD_TYPES[a]} for a in AGENCIES}
    _shelve_persons(shelves, persons, known, rng)
    _shelve_centres(shelves, centres, rng)
    for agency, copy in make_enrolments(persons, known, centres, rng):
        shelves[agency]["enrolment"].append(copy)
    for agency, copy in make_consents(persons, known, rng):
        shelves[agency]["consent"].append(copy)
    around = _shelve_directory(shelves, people, centres, _own(seed, "directory"))
    consents = sum(len(held.get("consent", ())) for held in shelves.values())
    modules = make_modules(2 * entries_for(people), centres, _own(seed, "module"))
    _shelve(shelves, "module", modules, _own(seed, "modules known"))
    for agency, record_type, copy in (
        *make_assessments(persons, known, centres, _own(seed, "assessment")),
        *make_referrals(persons, known, around, consents, _own(seed, "referral")),
        *make_results(persons, known, modules, _own(seed, "module_result")),
        *make_projects(persons, known, centres, _own(seed, "project")),
        *make_pathways(persons, known, centres, _own(seed, "pathway")),
    ):
        shelves[agency][record_type].append(copy)
    assessments = {agency: shelves[agency]["assessment"] for agency in ENROLLING}
    for agency, record_type, copy in make_plans(assessments, _own(seed, "support_plan")):
        shelves[agency][record_type].append(copy)
    return Population(people, seed, shelves, truth)


def _shelve_persons(shelves: Shelves, persons: list[Person], known: list[Acquaintance], rng: Random) -> None:
    for person, acquaintance in zip(persons, known, strict=True):
        for agency in acquaintance.agencies:
            shelves[agency]["person"].append(copy_of(person, agency, acquaintance, rng))


def _shelve_centres(shelves: Shelves, centres: list[Centre], rng: Random) -> None:
    for centre in centres:
        for agency, copy in copies_of_centre(centre, rng).items():
            shelves[agency]["centre"].append(copy)


def _own(seed: int, what: str) -> Random:
    """Random numbers of its own: the people, centres and enrolments of a seed stay what they are."""
    return Random(f"{what} {seed}")  # noqa: S311 — made-up people, nothing secret


def _shelve_directory(shelves: Shelves, people: int, centres: list[Centre], rng: Random) -> Surroundings:
    count = entries_for(people)
    associations = make_associations(count, rng)
    services = make_services(2 * count, centres, associations, rng)
    _shelve(shelves, "association", associations, rng)
    _shelve(shelves, "service", services, rng)
    return Surroundings(centres, associations, services)


def _shelve(shelves: Shelves, record_type: str, entries: list[Entry], rng: Random) -> None:
    for entry in entries:
        for agency, copy in copies_of(entry, rng):
            shelves[agency][record_type].append(copy)
