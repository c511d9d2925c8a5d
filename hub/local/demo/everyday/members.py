"""The newcomer's years of data: members of youth houses, some known to others, some not, some typed wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from hub.local.demo.copies import Copy, Population, Values
from hub.local.demo.names import family_names, given_names
from hub.local.demo.people import AS_OF, commune_code, phone_number
from hub.local.demo.person_copies import MISSPELLING

AGENCY = "youth"
# Of the people whose card somebody has on record, so many are members of a youth house, and at least.
_MEMBERS_SHARE, _LEAST_MEMBERS = 0.25, 30
_NEW, _UNCERTAIN, _TWICE, _UNREADABLE = 6, 2, 2, 3
# Letters that no card of the population begins with, nor of the story.
_CIN_LETTERS = "ZY"
_NAMES = ("family_name_fr", "given_name_fr")
_MISTYPED_YEARS = timedelta(days=3653)


@dataclass(frozen=True)
class Members:
    """The copies, and the truth about them: how many of the rows are whom.

    `matched`: people whom others know; `new`: whom nobody knows; `uncertain`: who bear somebody else's card
    number; `twice`: further rows of one of the new. `unreadable`: keys in `copies` of rows whose telephone
    number nobody can dial, by what it should be.
    """

    copies: list[Copy]
    matched: int
    new: int
    uncertain: int
    twice: int
    unreadable: dict[int, str]


def members_of(population: Population) -> Members:
    """Everything follows from the population's seed."""
    rng = Random(f"{AGENCY} {population.seed}")  # noqa: S311 — made-up people
    known = list(_recognisable(population))
    rng.shuffle(known)
    count = max(_LEAST_MEMBERS, round(len(known) * _MEMBERS_SHARE))
    matched, others = known[:count], known[count:]
    rows = [_member(values, rng) for values in matched]
    rows += [_stranger(rng) for _ in range(_NEW)]
    rows += [dict(row) for row in rows[-_TWICE:]]
    rows += [_mistyped(values, rng) for values in others[:_UNCERTAIN]]
    unreadable = dict(_spoil(rows, rng))
    # Later than whatever the population says: what the newcomer says of a telephone wins.
    moment = datetime(AS_OF.year, AS_OF.month, AS_OF.day, tzinfo=UTC)
    copies = [Copy(n, row, moment + timedelta(minutes=n), {}) for n, row in enumerate(rows)]
    return Members(copies, len(matched), _NEW, len(others[:_UNCERTAIN]), _TWICE, unreadable)


def _recognisable(population: Population) -> Iterator[Values]:
    """One copy of each person whom a card number and a birth date tell, and nobody is mistaken for."""
    truth = population.truth
    mistaken = {number for pair in truth.homonyms for number in pair}
    mistaken |= {number for one in truth.collisions for number in (one.person, one.other)}
    seen: set[int] = set()
    for held in population.copies.values():
        for copy in held["person"]:
            told = {"cin", "birth_date", "sex", "phone", *_NAMES} <= copy.values.keys()
            if told and copy.number not in seen | mistaken:
                seen.add(copy.number)
                yield copy.values


def _member(values: Values, rng: Random) -> Values:
    """What the house has on record of somebody: little, in its spelling, with another telephone number."""
    row = {name: values[name] for name in ("cin", "birth_date", "sex", *_NAMES)}
    row["phone"] = phone_number(rng)
    if rng.random() < MISSPELLING["ads"]:
        row["family_name_fr"] = str(row["family_name_fr"]).upper()
    if rng.random() < 0.3:
        row["commune"] = commune_code(rng)
    if rng.random() < 0.3:
        row["education_level"] = rng.choice(("primary", "upper_secondary", "higher"))
    return row


def _stranger(rng: Random) -> Values:
    sex = rng.choice(("female", "male"))
    family, given = rng.choice(family_names()), rng.choice(given_names(sex))
    born = AS_OF - timedelta(days=rng.randint(16 * 365, 30 * 365))
    return {
        "cin": f"{_CIN_LETTERS}{rng.randrange(10**6, 10**7)}",
        "family_name_fr": family.french,
        "given_name_fr": given.french,
        # Entraide Nationale takes nobody without a name in Arabic.
        "family_name_ar": family.arabic,
        "given_name_ar": given.arabic,
        "sex": sex,
        "birth_date": born,
        "phone": phone_number(rng),
    }


def _mistyped(values: Values, rng: Random) -> Values:
    """Somebody else, under a known person's card number: born ten years later, called otherwise."""
    return _stranger(rng) | {"cin": values["cin"], "birth_date": AS_OF - _MISTYPED_YEARS}


def _spoil(rows: list[Values], rng: Random) -> Iterator[tuple[int, str]]:
    for number in rng.sample(range(len(rows) // 2), _UNREADABLE):
        right = str(rows[number]["phone"])
        rows[number]["phone"] = f"0{right[4:6]} {right[6:]}"
        yield number, right
