"""Who knows whom: which agencies know a person, and whether a hub can tell that it is one person.

Here are also planted the mistakes that a hub must survive: an identity card number typed for the
wrong person, and two people with the same names and birth date.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from random import Random

from hub.local.demo.copies import AGENCIES, Collision, Truth
from hub.local.demo.people import Person
from hub.local.demo.person_copies import HELD, Acquaintance

ADULT_CIRCLES: dict[tuple[str, ...], int] = {
    ("entraide",): 21,
    ("ads",): 11,
    ("region-laayoune",): 7,
    ("health",): 7,
    ("entraide", "ads"): 14,
    ("entraide", "health"): 8,
    ("entraide", "region-laayoune"): 5,
    ("ads", "region-laayoune"): 4,
    ("ads", "health"): 3,
    ("entraide", "ads", "health"): 7,
    ("entraide", "ads", "region-laayoune"): 5,
    ("entraide", "region-laayoune", "health"): 2,
    AGENCIES: 6,
}
# ADS and the region work with adults.
MINOR_CIRCLES: dict[tuple[str, ...], int] = {
    ("entraide",): 35,
    ("health",): 20,
    ("entraide", "health"): 45,
}
# Of the people with an identifier whom several agencies know, those whose copies all carry it; with
# the people who have none this makes about 70 in 100.
LINKED_SHARE = 0.73
EXACT_SHARE = 0.02
# One planted mistake of each kind for so many people.
PEOPLE_PER_COLLISION = 300
PEOPLE_PER_HOMONYM = 500


def make_acquaintances(persons: list[Person], rng: Random) -> tuple[list[Acquaintance], Truth]:
    """For each person who knows them; plants collisions and homonyms (changing `persons`)."""
    adults = _circles(ADULT_CIRCLES, len(persons), rng)
    minors = _circles(MINOR_CIRCLES, len(persons), rng)
    known = [
        _acquaintance(person, adult if person.adult else minor, rng)
        for person, adult, minor in zip(persons, adults, minors, strict=True)
    ]
    pairs = _mistakable(persons, known)
    collisions = _plant_collisions(known, pairs)
    homonyms = _plant_homonyms(len(persons), pairs)
    truth = Truth(
        known_to=tuple(acquaintance.agencies for acquaintance in known),
        linked=frozenset(n for n, acquaintance in enumerate(known) if acquaintance.linked),
        collisions=collisions,
        homonyms=homonyms,
    )
    return known, truth


def _circles(weights: dict[tuple[str, ...], int], people: int, rng: Random) -> list[tuple[str, ...]]:
    return rng.choices(list(weights), weights=list(weights.values()), k=people)


def _acquaintance(person: Person, agencies: tuple[str, ...], rng: Random) -> Acquaintance:
    # The one identifier that all of these agencies write down, if the person has it.
    pupils = all("massar_code" in HELD[agency] for agency in agencies)
    identifiable = person.cin is not None or (pupils and person.massar_code is not None)
    several = len(agencies) > 1
    linked = several and identifiable and rng.random() < LINKED_SHARE
    if linked:
        identified = frozenset(agencies)
    else:
        identified = frozenset({rng.choice(agencies)}) if rng.random() < 0.9 else frozenset()
    exact = linked and rng.random() < EXACT_SHARE
    return Acquaintance(agencies, identified, linked, exact)


def _mistakable(persons: list[Person], known: list[Acquaintance]) -> Iterator[tuple[Person, Person]]:
    """Pairs of an adult whom one agency knows and another whom only other agencies know.

    Both have an identity card, the second one's is in every copy. Nobody comes twice.
    """
    singles: dict[str, list[Person]] = {agency: [] for agency in AGENCIES}
    for person in reversed(persons):
        agencies = known[person.number].agencies
        if len(agencies) == 1 and person.cin:
            singles[agencies[0]].append(person)
    for other in persons:
        if known[other.number].linked and other.cin:
            strangers = (a for a in AGENCIES if a not in known[other.number].agencies)
            single = next((singles[a].pop() for a in strangers if singles[a]), None)
            if single is not None and single.birth_date != other.birth_date:
                yield single, other


def _plant_collisions(
    known: list[Acquaintance], pairs: Iterator[tuple[Person, Person]]
) -> tuple[Collision, ...]:
    collisions = []
    for person, other in islice(pairs, _planted(len(known), PEOPLE_PER_COLLISION)):
        assert other.cin is not None
        agency = known[person.number].agencies[0]
        known[person.number] = replace(
            known[person.number], identified=frozenset({agency}), typed_cin=other.cin
        )
        # A pupil's code of their own would make this a contradiction between identifiers as well.
        person.massar_code = None
        collisions.append(Collision(person.number, other.number, agency, other.cin))
    return tuple(collisions)


def _plant_homonyms(people: int, pairs: Iterator[tuple[Person, Person]]) -> tuple[tuple[int, int], ...]:
    homonyms = []
    for person, other in islice(pairs, _planted(people, PEOPLE_PER_HOMONYM)):
        person.sex, person.birth_date = other.sex, other.birth_date
        person.family, person.given = other.family, other.given
        homonyms.append((person.number, other.number))
    return tuple(homonyms)


def _planted(people: int, people_per_mistake: int) -> int:
    return max(1, people // people_per_mistake)
