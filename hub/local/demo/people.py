"""The people themselves, as they are: every agency's copies are made from these."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from random import Random

from hub.local.demo import geography
from hub.local.demo.names import Name, family_names, given_names

# The day on which the population is described; fixed, since the same seed must give the same dates.
AS_OF = date(2026, 6, 30)
FIRST_RECEPTION = date(2019, 9, 1)
RECEPTION_AGE_YEARS = 5
ADULT_AGE_YEARS = 18
# Up to this age, those who studied are known by their code in the national education system.
PUPIL_AGE_YEARS = 25
DAYS_PER_YEAR = 365.25

EDUCATION_LEVELS = (
    "none",
    "preschool",
    "primary",
    "lower_secondary",
    "upper_secondary",
    "vocational",
    "higher",
)
# Letters before the number of an identity card: the south's own, then those of other regions.
CIN_LETTERS = ("SH", "SH", "SH", "SH", "SJ", "SJ", "SL", "SK", "JA", "JF", "JE", "JC", "BK", "EE")
DISABILITIES = ("none", "motor", "visual", "hearing", "intellectual", "psychosocial", "multiple")


@dataclass(frozen=True, slots=True)
class AgeGroup:
    """Ages from `first` to `last` years: their weight, and the weights of EDUCATION_LEVELS."""

    first: int
    last: int
    weight: int
    education: tuple[int, ...]


AGE_GROUPS = (
    AgeGroup(6, 11, 8, (5, 15, 80, 0, 0, 0, 0)),
    AgeGroup(12, 17, 12, (3, 2, 25, 50, 20, 0, 0)),
    AgeGroup(18, 34, 42, (6, 2, 17, 25, 22, 14, 14)),
    AgeGroup(35, 59, 28, (25, 8, 27, 18, 11, 5, 6)),
    AgeGroup(60, 85, 10, (60, 15, 14, 6, 3, 1, 1)),
)
DISABILITY_WEIGHTS = (58, 16, 8, 6, 6, 4, 2)


@dataclass(slots=True)
class Person:
    """One person. `cin` and `massar_code` are None for those who have none."""

    number: int
    sex: str
    family: Name
    given: Name
    birth_date: date
    cin: str | None
    massar_code: str | None
    commune: str
    phone: str
    education: int
    languages: list[str]
    disability: str
    received_on: date

    @property
    def adult(self) -> bool:
        return (AS_OF - self.birth_date).days >= ADULT_AGE_YEARS * DAYS_PER_YEAR


def make_people(people: int, rng: Random) -> list[Person]:
    """`people` different persons, numbered from 0."""
    groups = rng.choices(AGE_GROUPS, weights=[group.weight for group in AGE_GROUPS], k=people)
    identifiers = zip(_cin_numbers(people, rng), _massar_numbers(people, rng), strict=True)
    return [
        _person(number, group, cin, massar_code, rng)
        for number, (group, (cin, massar_code)) in enumerate(zip(groups, identifiers, strict=True))
    ]


def commune_code(rng: Random) -> str:
    """The HCP code of one of the region's communes; populous ones come more often."""
    weights = geography.cumulative_weights()
    return rng.choices(geography.communes(), cum_weights=weights)[0].code


def phone_number(rng: Random) -> str:
    """A Moroccan mobile number in E.164 form."""
    return f"+212{6 + (rng.random() < 0.35)}{int(rng.random() * 10**8):08d}"


def _person(number: int, group: AgeGroup, cin: str, massar_code: str, rng: Random) -> Person:
    age_days = int(DAYS_PER_YEAR * (group.first + rng.random() * (group.last + 1 - group.first)))
    birth = AS_OF.toordinal() - age_days
    adult = group.first >= ADULT_AGE_YEARS
    # Social centres receive more women than men.
    sex = "female" if rng.random() < 0.64 else "male"
    education = rng.choices(range(len(EDUCATION_LEVELS)), weights=group.education)[0]
    pupil = not adult or (age_days < PUPIL_AGE_YEARS * DAYS_PER_YEAR and education > 2)
    return Person(
        number=number,
        sex=sex,
        family=rng.choice(family_names()),
        given=rng.choice(given_names(sex)),
        birth_date=date.fromordinal(birth),
        cin=cin if adult and rng.random() < 0.97 else None,
        massar_code=massar_code if pupil and rng.random() < 0.95 else None,
        commune=commune_code(rng),
        phone=phone_number(rng),
        education=education,
        languages=_languages(education, rng),
        disability=rng.choices(DISABILITIES, weights=DISABILITY_WEIGHTS)[0],
        received_on=_received_on(birth, rng),
    )


def _received_on(birth: int, rng: Random) -> date:
    first = max(FIRST_RECEPTION.toordinal(), birth + int(RECEPTION_AGE_YEARS * DAYS_PER_YEAR))
    return date.fromordinal(first + int(rng.random() * (AS_OF.toordinal() - first)))


def _languages(education: int, rng: Random) -> list[str]:
    chances = (("ber", 0.2), ("hassaniya", 0.75), ("fr", 0.14 * education), ("es", 0.16))
    spoken = ["ar"] + [language for language, chance in chances if rng.random() < chance]
    return sorted([*spoken, "en"] if rng.random() < 0.06 * education else spoken)


def _cin_numbers(people: int, rng: Random) -> Iterator[str]:
    # Seven digits after two letters: the contract allows them, the cards in use have six or fewer,
    # so that the demonstration never shows a real person's number.
    for number in rng.sample(range(10**6, 10**7), people):
        yield f"{rng.choice(CIN_LETTERS)}{number}"


def _massar_numbers(people: int, rng: Random) -> Iterator[str]:
    for number in rng.sample(range(10**8, 10**9), people):
        yield f"{'RSKJ'[number % 4]}{number}"
